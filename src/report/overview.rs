//! `overview.svg`: for each namespace the worst of each of 30 days. It ends at the newest run, and changes only where a day gets
//! worse, so a branch of many runs does not carry many pictures.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Span;
use jiff::civil::Date;

use super::days::{DAYS_MAX, Days, Mark};
use super::escape::line;
use super::index::Row;

pub(super) const FILE: &str = "overview.svg";
pub(super) const TITLE: &str = "Results of the last 30 days";

/// Rows that fit a screen. Namespaces with failures come first.
const ROWS_MAX: usize = 60;
/// A name longer than this runs into the days.
const NAME_CHARS_MAX: usize = 28;
const NAME_WIDTH: usize = 200;
const DAY_WIDTH: usize = 16;
const ROW_HEIGHT: usize = 18;
const TOP: usize = 52;
const CELL: usize = 12;

/// Colours that stand out from white and from black, and a shape for each, since not everybody tells colours apart.
const STYLE: &str = "text{font:12px system-ui,sans-serif;fill:#59636e}.s{fill:#2da44e}.k{fill:#9a8c2f}.m{fill:none;stroke:#d4730c;stroke-width:2}.f{fill:#d1242f}.n{fill:#8c959f}\
.x{stroke:#fff;stroke-width:2}@media(prefers-color-scheme:dark){text{fill:#9198a1}.s{fill:#2ea043}.k{fill:#bba72f}.m{stroke:#e3872a}.f{fill:#f85149}.n{fill:#656c76}.x{stroke:#0d1117}}";

struct Line<'a> {
    namespace: &'a str,
    marks: [Mark; DAYS_MAX],
}

impl Line<'_> {
    fn count(&self, mark: Mark) -> usize {
        self.marks.iter().filter(|known| **known == mark).count()
    }

    fn bad_days(&self) -> usize {
        self.count(Mark::Failed) + self.count(Mark::Missed)
    }

    /// `12 days succeeded, 1 failed`, for those who do not see the picture.
    fn spoken(&self) -> String {
        let words = [
            (Mark::Succeeded, "succeeded"),
            (Mark::Skipped, "skipped"),
            (Mark::Missed, "missed"),
            (Mark::Failed, "failed"),
            (Mark::Nothing, "without a run"),
        ];
        let counted = words.into_iter().map(|(mark, word)| (self.count(mark), word)).filter(|(count, _)| *count > 0);
        let counted: Vec<String> = counted.map(|(count, word)| format!("{count} {word}")).collect();
        format!("{}: days {}", xml(self.namespace), counted.join(", "))
    }
}

/// None while nothing has run.
pub(super) fn picture(rows: &[Row]) -> Option<String> {
    let mut by_namespace: BTreeMap<&str, Vec<&Days>> = BTreeMap::new();
    for row in rows {
        let days = row.file.backups.iter().filter_map(|backup| backup.past.history.as_ref());
        by_namespace.entry(&row.file.target.namespace).or_default().extend(days);
    }
    let last = by_namespace.values().flatten().map(|days| days.last()).max()?;
    let mut lines: Vec<Line> = by_namespace
        .into_iter()
        .filter(|(_, days)| !days.is_empty())
        .map(|(namespace, days)| Line { namespace, marks: worst(&days, last) })
        .collect();
    let omitted = lines.len().saturating_sub(ROWS_MAX);
    if omitted > 0 {
        lines.sort_by_key(|line| std::cmp::Reverse(line.bad_days()));
        lines.truncate(ROWS_MAX);
        lines.sort_by_key(|line| line.namespace);
    }
    Some(draw(&lines, last, omitted))
}

fn before(last: Date, days: usize) -> Date {
    let back = i32::try_from(days).unwrap_or(0);
    last.checked_sub(Span::new().days(back)).unwrap_or(last)
}

/// The first of the thirty days first.
fn worst(days: &[&Days], last: Date) -> [Mark; DAYS_MAX] {
    let mut marks = [Mark::Nothing; DAYS_MAX];
    for (index, mark) in marks.iter_mut().enumerate() {
        let day = before(last, DAYS_MAX - 1 - index);
        *mark = days.iter().map(|days| days.get(day)).max().unwrap_or(Mark::Nothing);
    }
    marks
}

fn draw(lines: &[Line], last: Date, omitted: usize) -> String {
    let width = NAME_WIDTH + DAYS_MAX * DAY_WIDTH + 12;
    let height = TOP + lines.len() * ROW_HEIGHT + if omitted > 0 { ROW_HEIGHT } else { 0 } + 10;
    let spoken: Vec<String> = lines.iter().map(Line::spoken).collect();
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-labelledby=\"t d\">\n\
         <title id=\"t\">{TITLE}</title>\n<desc id=\"d\">The 30 days until {last}, the worst of each day. {}.</desc>\n<style>{STYLE}</style>\n",
        spoken.join("; ")
    );
    legend(&mut out);
    let right = NAME_WIDTH + DAYS_MAX * DAY_WIDTH - 4;
    let _ = writeln!(out, "<text x=\"{NAME_WIDTH}\" y=\"42\">{}</text>", before(last, DAYS_MAX - 1));
    let _ = writeln!(out, "<text x=\"{right}\" y=\"42\" text-anchor=\"end\">{last}</text>");
    for (index, (line, spoken)) in lines.iter().zip(&spoken).enumerate() {
        let y = TOP + index * ROW_HEIGHT;
        let _ = writeln!(out, "<g><title>{spoken}</title>");
        let _ = writeln!(out, "<text x=\"8\" y=\"{}\">{}</text>", y + 10, short(line.namespace));
        for (index, mark) in line.marks.iter().enumerate() {
            cell(&mut out, *mark, NAME_WIDTH + index * DAY_WIDTH, y);
        }
        out.push_str("</g>\n");
    }
    if omitted > 0 {
        let y = TOP + lines.len() * ROW_HEIGHT + 10;
        let _ = writeln!(out, "<text x=\"8\" y=\"{y}\">and {omitted} more namespaces with fewer bad days</text>");
    }
    out.push_str("</svg>\n");
    out
}

fn legend(out: &mut String) {
    let words = [
        (Mark::Succeeded, "succeeded"),
        (Mark::Skipped, "skipped"),
        (Mark::Missed, "missed"),
        (Mark::Failed, "failed"),
        (Mark::Nothing, "no run"),
    ];
    for (index, (mark, word)) in words.into_iter().enumerate() {
        let x = NAME_WIDTH + index * 96;
        cell(out, mark, x, 8);
        let _ = writeln!(out, "\n<text x=\"{}\" y=\"18\">{word}</text>", x + DAY_WIDTH);
    }
}

fn cell(out: &mut String, mark: Mark, x: usize, y: usize) {
    let middle = (x + CELL / 2, y + CELL / 2);
    let _ = match mark {
        Mark::Nothing => write!(out, "<circle class=\"n\" cx=\"{}\" cy=\"{}\" r=\"1.5\"/>", middle.0, middle.1),
        Mark::Succeeded => write!(out, "<rect class=\"s\" x=\"{x}\" y=\"{y}\" width=\"{CELL}\" height=\"{CELL}\"/>"),
        Mark::Skipped => {
            let (y, height) = (y + CELL / 2, CELL / 2);
            write!(out, "<rect class=\"k\" x=\"{x}\" y=\"{y}\" width=\"{CELL}\" height=\"{height}\"/>")
        }
        Mark::Missed => {
            let (x, y, side) = (x + 1, y + 1, CELL - 2);
            write!(out, "<rect class=\"m\" x=\"{x}\" y=\"{y}\" width=\"{side}\" height=\"{side}\"/>")
        }
        Mark::Failed => write!(
            out,
            "<rect class=\"f\" x=\"{x}\" y=\"{y}\" width=\"{CELL}\" height=\"{CELL}\"/><path class=\"x\" d=\"M{} {}l6 6m0-6l-6 6\"/>",
            x + 3,
            y + 3
        ),
    };
}

fn short(namespace: &str) -> String {
    if namespace.chars().count() <= NAME_CHARS_MAX {
        return xml(namespace);
    }
    let cut: String = namespace.chars().take(NAME_CHARS_MAX - 1).collect();
    format!("{}…", xml(&cut))
}

fn xml(text: &str) -> String {
    line(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
