//! The plan for a person: like a good diff, with the reason under each step.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;
use similar::{Algorithm, TextDiff};

use crate::model::plan::{Action, Held, Plan, Refusal, Step, Warning};
use crate::model::redact;
use crate::yaml;

/// A diff that takes longer than this is shown coarser; objects are small, so only hostile ones get there.
const DIFF_TIME_MAX: Duration = Duration::from_millis(200);

/// Whether to colour; only a terminal gets colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Palette {
    Plain,
    Colour,
}

impl Palette {
    fn paint(self, code: &str, text: &str) -> String {
        match self {
            Palette::Plain => text.to_owned(),
            Palette::Colour => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }

    pub fn added(self, text: &str) -> String {
        self.paint("32", text)
    }

    pub fn removed(self, text: &str) -> String {
        self.paint("31", text)
    }

    pub fn changed(self, text: &str) -> String {
        self.paint("33", text)
    }

    pub fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }

    pub fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }
}

/// Unified diff of two values as YAML, with `context` lines around each change.
pub fn unified(before: &Value, after: &Value, context: usize) -> String {
    let (before, after) = (block(before), block(after));
    let mut config = TextDiff::configure();
    config.algorithm(Algorithm::Histogram).timeout(DIFF_TIME_MAX);
    config.diff_lines(&before, &after).unified_diff().context_radius(context).to_string()
}

/// Everything: steps with their diffs, then what is refused, held back and worth a look, then one line of counts.
/// `excerpt` shows the source line of a place, where the caller has the source at hand.
pub fn diff(plan: &Plan, palette: Palette, excerpt: &dyn Fn(&crate::model::place::Place) -> Option<String>) -> String {
    let mut out = String::new();
    for step in &plan.steps {
        write_step(&mut out, step, palette);
    }
    for refusal in &plan.refusals {
        write_refusal(&mut out, refusal, palette);
    }
    for held in &plan.held {
        write_held(&mut out, held, palette);
        indented(&mut out, &excerpt(&held.at).unwrap_or_default(), str::to_owned);
        out.push('\n');
    }
    for warning in &plan.warnings {
        write_warning(&mut out, warning, palette);
        let shown = warning.at.as_ref().filter(|_| warning.policy.is_none()).and_then(excerpt).unwrap_or_default();
        indented(&mut out, &shown, str::to_owned);
        out.push('\n');
    }
    for uncovered in &plan.uncovered {
        let code = palette.changed(&format!("? uncovered {}", uncovered.code.as_str()));
        let _ = writeln!(out, "{code} {}", uncovered.target.spoken());
        let _ = writeln!(out, "    {} (policy {}, {})\n", uncovered.message, uncovered.policy, uncovered.at);
    }
    if !plan.incomplete.is_empty() {
        let _ = writeln!(out, "Not listed, so nothing is deleted for want of them: {}\n", plan.incomplete.join(", "));
    }
    out.push_str(&tally(plan));
    redact::text(&out).into_owned()
}

/// One line a step, refusal and held document, then the counts.
pub fn summary(plan: &Plan, palette: Palette) -> String {
    let mut out = String::new();
    for step in &plan.steps {
        let _ = writeln!(out, "{}  {}", headline(step, palette), palette.faint(&step.reason.message));
    }
    for refusal in &plan.refusals {
        let _ = writeln!(out, "{} {}: {}", palette.removed("refused"), refusal.code.as_str(), refusal.message);
    }
    for held in &plan.held {
        let _ = writeln!(out, "{} {} {}: {}", palette.changed("held"), held.code.as_str(), held.at, held.message);
    }
    for uncovered in &plan.uncovered {
        let code = palette.changed("uncovered");
        let _ =
            writeln!(out, "{code} {} {}: {}", uncovered.code.as_str(), uncovered.target.spoken(), uncovered.message);
    }
    out.push_str(&tally(plan));
    redact::text(&out).into_owned()
}

/// `2 to create, 1 to update, 1 to delete; 1 refused, 1 held, 1 warning.`
pub fn tally(plan: &Plan) -> String {
    let count = |action: &str| plan.steps.iter().filter(|step| step.action.as_str() == action).count();
    let (creates, updates, deletes) = (count("create"), count("update"), count("delete"));
    let steps = match creates + updates + deletes {
        0 => "Nothing to do".to_owned(),
        _ => format!("{creates} to create, {updates} to update, {deletes} to delete"),
    };
    let warnings = plan.warnings.len();
    let plural = if warnings == 1 { "" } else { "s" };
    let uncovered = match plan.uncovered.len() {
        0 => String::new(),
        count => format!(", {count} uncovered"),
    };
    let (refused, held) = (plan.refusals.len(), plan.held.len());
    format!("{steps}; {refused} refused, {held} held, {warnings} warning{plural}{uncovered}.\n")
}

fn headline(step: &Step, palette: Palette) -> String {
    let name = format!("{} {}", step.object.kind.as_str(), step.object.short());
    match step.action {
        Action::Create { .. } => palette.added(&format!("+ create {name}")),
        Action::Update { .. } => palette.changed(&format!("~ update {name}")),
        Action::Delete { .. } => palette.removed(&format!("- delete {name}")),
    }
}

fn write_step(out: &mut String, step: &Step, palette: Palette) {
    let _ = writeln!(out, "{}", palette.bold(&headline(step, palette)));
    let _ = writeln!(out, "    {}", palette.faint(&step.reason.message));
    match &step.action {
        Action::Create { manifest } => {
            indented(out, &block(manifest), |line| palette.added(&format!("+ {line}")));
        }
        Action::Update { manifest, before, .. } => {
            indented(out, &unified(before, manifest, 3), |line| match line.chars().next() {
                Some('+') => palette.added(line),
                Some('-') => palette.removed(line),
                Some(_) | None => line.to_owned(),
            });
        }
        Action::Delete { .. } => {}
    }
    out.push('\n');
}

fn write_refusal(out: &mut String, refusal: &Refusal, palette: Palette) {
    let about = refusal
        .object
        .as_ref()
        .map(|key| format!("{} {}", key.kind.as_str(), key.short()))
        .or_else(|| refusal.target.as_ref().map(crate::model::object::TargetKey::spoken))
        .unwrap_or_default();
    let place = match (&refusal.policy, &refusal.at) {
        (Some(policy), Some(at)) => format!(" (policy {policy}, {at})"),
        (_, Some(at)) => format!(" ({at})"),
        (_, None) => String::new(),
    };
    let _ = writeln!(out, "{} {about}{place}", palette.removed(&format!("! refused {}", refusal.code.as_str())));
    let _ = writeln!(out, "    {}", refusal.message);
    if let Some(digest) = &refusal.acknowledge {
        let _ = writeln!(out, "    to allow exactly this: {}: {digest}", crate::model::keys::ACKNOWLEDGE);
    }
    out.push('\n');
}

fn write_held(out: &mut String, held: &Held, palette: Palette) {
    let _ = writeln!(out, "{} {}", palette.changed(&format!("! held {}", held.code.as_str())), held.at);
    let _ = writeln!(out, "    {}", held.message);
    if !held.keeps.is_empty() {
        let keeps: Vec<String> =
            held.keeps.iter().map(|key| format!("{} {}", key.kind.as_str(), key.short())).collect();
        let _ = writeln!(out, "    stays as it is: {}", keeps.join(", "));
    }
}

fn write_warning(out: &mut String, warning: &Warning, palette: Palette) {
    let object = || warning.object.as_ref().map(|key| format!("{} {}", key.kind.as_str(), key.short()));
    let at = || warning.at.as_ref().map(ToString::to_string);
    let about = match &warning.policy {
        Some(policy) => {
            let place = format!("(policy {policy}, {})", at().unwrap_or_default());
            object().map_or(place.clone(), |object| format!("{object} {place}"))
        }
        None => at().or_else(object).unwrap_or_default(),
    };
    let _ = writeln!(out, "{} {about}", palette.changed(&format!("? warning {}", warning.code.as_str())));
    let _ = writeln!(out, "    {}", warning.message);
}

fn indented(out: &mut String, text: &str, paint: impl Fn(&str) -> String) {
    for line in text.lines() {
        let _ = writeln!(out, "    {}", paint(line));
    }
}

fn block(value: &Value) -> String {
    yaml::write(&redact::value(value))
}
