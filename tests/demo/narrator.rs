//! What the audience sees: titles, commands with their output, and what was checked.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Lines of one output that are shown; the rest is counted.
const LINES_MAX: usize = 60;

static CHECKED: AtomicUsize = AtomicUsize::new(0);

fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    // Nobody reads on: the demonstration goes on, since its exit code is what counts.
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

fn styled(code: &str, text: &str) -> String {
    let plain = !std::io::stdout().is_terminal() || std::env::var_os("NO_COLOR").is_some();
    if plain { text.to_owned() } else { format!("\x1b[{code}m{text}\x1b[0m") }
}

/// Begins a scene; with `DEMO_PAUSE=1` waits for Enter before it.
pub(crate) fn title(text: &str) {
    if std::env::var("DEMO_PAUSE").as_deref() == Ok("1") {
        print(&styled("2", "\n(Enter goes on)"));
        let _ = std::io::stdin().lock().read_line(&mut String::new());
    }
    print(&format!("\n{}", styled("1;36", &format!("== {text} =="))));
}

pub(crate) fn say(text: &str) {
    print(text);
}

/// A command as a person would type it, and what came of it.
pub(crate) fn show(command: &str, output: &str) {
    print(&styled("1", &format!("\n$ {command}")));
    let lines: Vec<&str> = output.trim_end().lines().collect();
    for line in lines.iter().take(LINES_MAX) {
        print(&format!("  {line}"));
    }
    if lines.len() > LINES_MAX {
        print(&format!("  ({} more lines)", lines.len() - LINES_MAX));
    }
}

/// One thing that was looked up and found to be so; nothing is said that was not asserted before.
pub(crate) fn checked(what: &str) {
    CHECKED.fetch_add(1, Ordering::Relaxed);
    print(&format!("{} {what}", styled("1;32", "ok")));
}

pub(crate) fn end(well: bool) -> ExitCode {
    let count = CHECKED.load(Ordering::Relaxed);
    if well {
        print(&styled(
            "1;32",
            &format!("\nDone: {count} things checked on the API server and in Git; the stage is cleared."),
        ));
        ExitCode::SUCCESS
    } else {
        print(&styled("1;31", &format!("\nFailed after {count} checks; the error is above, the stage is cleared.")));
        ExitCode::FAILURE
    }
}
