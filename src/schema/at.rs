//! Where a walk is: a chain on the stack, made into text only for a complaint.

use std::fmt::Write;

/// One step down.
#[derive(Clone, Copy)]
enum Step<'a> {
    Field(&'a str),
    Key(&'a str),
    Item(usize),
}

/// A place in an object.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    above: Option<(&'a At<'a>, Step<'a>)>,
}

/// Characters of a name or value that a message shows: names in Git may be as long as a file.
const SHOWN_MAX: usize = 64;

impl<'a> At<'a> {
    pub(super) const ROOT: At<'static> = At { above: None };

    pub(super) fn field(&'a self, name: &'a str) -> At<'a> {
        At { above: Some((self, Step::Field(name))) }
    }

    /// An entry of a map with free keys.
    pub(super) fn key(&'a self, name: &'a str) -> At<'a> {
        At { above: Some((self, Step::Key(name))) }
    }

    pub(super) fn item(&'a self, index: usize) -> At<'a> {
        At { above: Some((self, Step::Item(index))) }
    }

    /// RFC 6901.
    pub(super) fn pointer(&self) -> String {
        let Some((above, step)) = self.above else { return String::new() };
        let mut pointer = above.pointer();
        match step {
            Step::Field(name) | Step::Key(name) => {
                pointer.push('/');
                pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
            }
            Step::Item(index) => write_into(&mut pointer, format_args!("/{index}")),
        }
        pointer
    }

    /// For people: `spec.members[0].target`, `metadata.labels[app.kubernetes.io/name]`; empty at the root.
    pub(super) fn dotted(&self) -> String {
        let Some((above, step)) = self.above else { return String::new() };
        let mut path = above.dotted();
        match step {
            Step::Field(name) if path.is_empty() => path.push_str(&shown(name)),
            Step::Field(name) => write_into(&mut path, format_args!(".{}", shown(name))),
            Step::Key(name) => write_into(&mut path, format_args!("[{}]", shown(name))),
            Step::Item(index) => write_into(&mut path, format_args!("[{index}]")),
        }
        path
    }

    /// `dotted`, with a name for the root.
    pub(super) fn named(&self) -> String {
        if self.above.is_none() { "the document".to_owned() } else { self.dotted() }
    }
}

fn write_into(text: &mut String, arguments: std::fmt::Arguments) {
    // Writing to a String cannot fail.
    let _ = text.write_fmt(arguments);
}

/// On one line and cut to a length that fits a message.
pub(super) fn shown(text: &str) -> String {
    let mut line: String = text.chars().take(SHOWN_MAX).flat_map(escaped).collect();
    if text.chars().nth(SHOWN_MAX).is_some() {
        line.push('…');
    }
    line
}

fn escaped(character: char) -> impl Iterator<Item = char> {
    let (escape, plain) =
        if character.is_control() { (Some(character.escape_default()), None) } else { (None, Some(character)) };
    escape.into_iter().flatten().chain(plain)
}

/// Undoes the escaping of one token of a pointer.
pub(super) fn token(escaped: &str) -> String {
    escaped.replace("~1", "/").replace("~0", "~")
}
