//! What is seen while something takes long: a bar on a terminal, lines of JSON for programs, and nothing elsewhere.

use std::io::{IsTerminal as _, Write as _};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::args::RepositoryArgs;
use crate::repository::{Progress, SoFar};

/// Between two looks, for people and for programs.
const LOOK: Duration = Duration::from_millis(100);
const LINE: Duration = Duration::from_secs(1);
const KNOWN: &str = "{elapsed_precise} [{wide_bar}] {percent}% {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left, {msg}";
const UNKNOWN: &str = "{elapsed_precise} {spinner} {binary_bytes}, {binary_bytes_per_sec}, {msg}";

enum How {
    Bar(ProgressBar),
    Lines,
    Nothing,
}

impl How {
    fn of(args: &RepositoryArgs) -> Self {
        match (args.quiet, args.json) {
            (false, true) => How::Lines,
            (false, false) if std::io::stderr().is_terminal() => How::Bar(ProgressBar::new(0)),
            (_, false) | (true, true) => How::Nothing,
        }
    }
}

/// Of work that is shown, or that nobody looks at.
pub(super) fn progress(args: &RepositoryArgs) -> Progress {
    match How::of(args) {
        How::Bar(_) | How::Lines => Progress::watched(),
        How::Nothing => Progress::default(),
    }
}

/// Does the work and shows how far it is.
pub(super) fn while_working<T>(args: &RepositoryArgs, progress: &Progress, work: impl FnOnce() -> T) -> T {
    let how = How::of(args);
    let (done, is_done) = channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            let wait = if matches!(how, How::Lines) { LINE } else { LOOK };
            while is_done.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                show(&how, progress.so_far());
            }
            if let How::Bar(bar) = &how {
                bar.finish_and_clear();
            }
        });
        let result = work();
        drop(done);
        result
    })
}

fn show(how: &How, now: SoFar) {
    match how {
        How::Nothing => {}
        How::Bar(bar) => {
            let style = ProgressStyle::with_template(if now.bytes_in_all.is_some() { KNOWN } else { UNKNOWN });
            if let Ok(style) = style {
                bar.set_style(style.progress_chars("=> "));
            }
            // Files grow while they are read.
            bar.set_length(now.bytes_in_all.unwrap_or(0).max(now.bytes));
            bar.set_position(now.bytes);
            bar.set_message(counted(now.files, "file"));
        }
        How::Lines => {
            let mut line = json!({ "message_type": "status", "files_done": now.files, "bytes_done": now.bytes });
            if let Some(all) = now.bytes_in_all {
                line["total_bytes"] = json!(all);
                #[expect(clippy::cast_precision_loss, reason = "for the eye")]
                let share = (now.bytes as f64 / all as f64).min(1.0);
                line["percent_done"] = json!(share);
            }
            print_line(&line);
        }
    }
}

/// A reader that has seen enough is no error.
fn print_line(line: &Value) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

pub(super) fn bytes(bytes: u64) -> String {
    HumanBytes(bytes).to_string()
}

/// `1 snapshot`, `2 snapshots`.
pub(super) fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
