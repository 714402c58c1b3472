//! `holdfast docs`: the reference, made from the code that it describes.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{CommandFactory as _, ValueEnum};

use super::args::Cli;
use super::output::print;
use super::repo;
use crate::install::catalogue::{Direction, ENTRIES, RELEASE};
use crate::metrics::Metrics;
use crate::model::finding::{CheckCode, CoverageCode, HeldCode, ReasonCode, RefusalCode, StepReason, WarningCode};
use crate::schema;

const GENERATED: &str = "<!-- Generated: UPDATE_DOCS=1 cargo test --test it docs -->\n";

/// A page of the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Topic {
    /// Built-in Functions and Tasks.
    Catalogue,
    /// Commands, flags and their environment variables.
    Cli,
    /// Codes of reasons, refusals and findings.
    Codes,
    /// Files and documents, by example.
    Formats,
    /// Series of /metrics.
    Metrics,
    /// JSON Schema of all documents, for editors.
    Schema,
}

pub(super) fn run(topic: Topic) -> anyhow::Result<ExitCode> {
    print(&page(topic)?)
}

/// The page as Markdown; the schema as JSON.
pub fn page(topic: Topic) -> anyhow::Result<String> {
    Ok(match topic {
        Topic::Catalogue => catalogue(),
        Topic::Cli => command_line(),
        Topic::Codes => codes(),
        Topic::Formats => include_str!("../../docs/reference/formats.md").to_owned(),
        Topic::Metrics => metrics(),
        Topic::Schema => {
            let schema = schema::json_schema().map_err(anyhow::Error::msg)?;
            serde_json::to_string(&schema).context("the schema is JSON")? + "\n"
        }
    })
}

fn catalogue() -> String {
    let mut page =
        format!("# Catalogue\n\n{GENERATED}\nFunctions and Tasks that are built in, by the names of Stash {RELEASE}. ");
    page.push_str(CATALOGUE);
    page.push_str("| addon | versions | in this version |\n|---|---|---|\n");
    for entry in ENTRIES {
        let built = if entry.built { "yes" } else { "not yet" };
        let _ = writeln!(page, "| `{}` | {} | {built} |", entry.name, entry.versions.join(", "));
    }
    page.push_str("\n## Parameters\n\nThey are given in `task.params`, or by the annotation `params.stash.appscode.com/<name>`.\n\n");
    page.push_str("| addon | way | parameter | default | versions |\n|---|---|---|---|---|\n");
    for entry in ENTRIES {
        for direction in Direction::ALL {
            for parameter in entry.parameters(direction).unwrap_or_default() {
                let default = match parameter.default {
                    "" => String::new(),
                    default => format!("`{default}`"),
                };
                let versions = if parameter.only.is_empty() { "all".to_owned() } else { parameter.only.join(", ") };
                let (addon, way, name) = (entry.name, direction.as_str(), parameter.name);
                let _ = writeln!(page, "| `{addon}` | {way} | `{name}` | {default} | {versions} |");
            }
        }
    }
    page
}

/// Between the sentence that begins the page and the table of addons.
const CATALOGUE: &str = "\
The daemon knows them though nobody installs them, and runs their steps in
its own image. A Function or Task of such a name in the cluster or in Git counts only with the annotation `holdfast.dev/override: \"true\"`.

`holdfast catalogue` prints them as objects, to look at and to copy. Do not apply them where Stash is installed: it keeps its own by these names.

| Task | what | in this version |
|---|---|---|
| `pvc-backup` | backs up the files of a claim | yes |
| `pvc-restore` | restores them | yes |

`update-status` is the last step of every Task. It is a Function, and no Task.

## Addons

Their Functions and Tasks are called `<addon>-backup-<version>` and `<addon>-restore-<version>`. The version is a label: one program serves them all. `kubedump` has no restore.
A Task of an addon that is not in this version is refused by name, unless its Function is one of yours: an image of your own, and the annotation above.

";

fn codes() -> String {
    let mut page = format!(
        "# Codes\n\n{GENERATED}\nEverything that a plan or a step of a Job can say. The lists are closed: a new code is a change of the format.\n"
    );
    macro_rules! section {
        ($codes:ident, $title:literal, $about:literal) => {
            let _ = write!(page, "\n## {}\n\n{}\n\n| code | meaning |\n|---|---|\n", $title, $about);
            for code in $codes::ALL {
                let _ = writeln!(page, "| `{}` | {} |", code.as_str(), code.meaning());
            }
        };
    }
    section!(ReasonCode, "Reasons", "Why a step is in a plan.");
    section!(RefusalCode, "Refusals", "Why something that was asked for is not in the plan.");
    section!(HeldCode, "Held", "Why a file or document in Git is not used. What came from it stays as it is.");
    section!(WarningCode, "Warnings", "Worth a look; stops nothing.");
    section!(CoverageCode, "Coverage", "What is wrong with the protection of something that a policy wants protected.");
    section!(CheckCode, "Check", "What only `holdfast check` finds.");
    section!(StepReason, "Steps", "Why a step of a Job failed.");
    page
}

fn command_line() -> String {
    let mut command = Cli::command();
    command.build();
    let about = "Every flag with an environment variable takes its value from there if it is not given.";
    let mut page = format!("# Command line\n\n{GENERATED}\n{about}\n\n## For all commands\n\n");
    flags(&command, &BTreeSet::new(), &mut page);
    below(&command, "holdfast", "##", &BTreeSet::new(), &mut page);
    page
}

/// One section per command below this one, which has `above` from those that it stands below.
fn below(command: &clap::Command, name: &str, heading: &str, above: &BTreeSet<&str>, page: &mut String) {
    let mut above = above.clone();
    above.extend(command.get_arguments().filter(|one| one.is_global_set()).map(|one| one.get_id().as_str()));
    for command in command.get_subcommands().filter(|command| command.get_name() != "help") {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let name = format!("{name} {}", command.get_name());
        let _ = write!(page, "\n{heading} {name}\n\n{about}\n\n");
        flags(command, &above, page);
        if name == "holdfast repo" {
            page.push_str("\n| exit code | meaning |\n|---|---|\n");
            for (code, meaning) in repo::exit::MEANINGS {
                let _ = writeln!(page, "| {code} | {meaning} |");
            }
        }
        below(command, &name, &format!("{heading}#"), &above, page);
    }
}

/// One row per flag that the command has for itself.
fn flags(command: &clap::Command, above: &BTreeSet<&str>, page: &mut String) {
    let own = |argument: &&clap::Arg| {
        let id = argument.get_id().as_str();
        !above.contains(id) && !matches!(id, "help" | "version")
    };
    let mut arguments = command.get_arguments().filter(own).peekable();
    if arguments.peek().is_none() {
        page.push_str("No flags of its own.\n");
        return;
    }
    page.push_str("| flag | environment | default | meaning |\n|---|---|---|---|\n");
    for argument in arguments {
        let values = argument.get_value_names().unwrap_or_default().join(" ");
        let takes_value = argument.get_action().takes_values();
        let short = argument.get_short().map(|short| format!("-{short}, ")).unwrap_or_default();
        let name = match argument.get_long() {
            Some(long) if takes_value => format!("{short}--{long} {values}"),
            Some(long) => format!("{short}--{long}"),
            None => values,
        };
        let environment = argument.get_env().map(|name| format!("`{}`", name.display())).unwrap_or_default();
        let defaults: Vec<String> =
            argument.get_default_values().iter().map(|value| format!("`{}`", value.display())).collect();
        let default = if takes_value { defaults.join(", ") } else { String::new() };
        let mut meaning = argument.get_help().map(ToString::to_string).unwrap_or_default();
        let choices: Vec<String> =
            argument.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
        if takes_value && !choices.is_empty() {
            let end = if meaning.is_empty() || meaning.ends_with('.') { "" } else { "." };
            let _ = write!(meaning, "{end} One of {}.", choices.join(", "));
        }
        let _ = writeln!(page, "| `{name}` | {environment} | {default} | {} |", meaning.trim().replace('|', "\\|"));
    }
}

fn metrics() -> String {
    let mut page = format!(
        "# Metrics\n\n{GENERATED}\nServed at `/metrics` of the address in `--listen`, in the OpenMetrics text format.\n"
    );
    page.push_str("`holdfast_refusals` has the label `code` ([codes](codes.md)). `holdfast_steps` counts the steps that were tried, by `action` and `result`;\n");
    page.push_str("every series of both is there from the start. Those with the label `policy` come and go with the policies in Git.\n");
    page.push_str("Counters carry the suffix `_total` in the samples.\n\n| name | type | meaning |\n|---|---|---|\n");
    let mut help = "";
    let text = Metrics::of_every_kind().render();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').map_or("", |(_, help)| help);
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            let _ = writeln!(page, "| `{name}` | {kind} | {help} |");
        }
    }
    page
}
