//! The places of keys and values: for each style by hand, and for generated documents in random styles.

use holdfast::yaml;

use serde_json::{Map, Value};
use yaml::{Document, Limits, Position};

use super::yaml_positions::Random;

fn parse_one(text: &str) -> Document {
    let limits = Limits::default();
    let mut documents = yaml::parse(text.as_bytes(), &limits).unwrap_or_else(|error| panic!("{error:?}\n{text}"));
    documents.pop().unwrap_or_else(|| panic!("no document in {text}"))
}

/// Checks pointers, each with the places of its key and of its value as `line:column`.
fn check(text: &str, places: &[(&str, &str, &str)]) {
    let document = parse_one(text);
    for (pointer, key, value) in places {
        let found = (document.position(pointer).to_string(), document.value_position(pointer).to_string());
        assert_eq!(found, ((*key).to_owned(), (*value).to_owned()), "{pointer} in\n{text}");
    }
}

#[test]
fn yaml_places_of_scalar_styles() {
    check(
        "é: ü\n日本:   語 # c\n'a b': 'c d'\n\"e\\n\": \"f\"\n",
        &[("/é", "1:1", "1:4"), ("/日本", "2:1", "2:7"), ("/a b", "3:1", "3:8"), ("/e\n", "4:1", "4:8")],
    );
    check(
        "a: |\n  é\n\n  ü\nb: >-  # c\n  x\n  y\nc: 1\nd: |2+\n    z\n\ne: !!str\n  # note\n\n  >\n  w\nf: x",
        &[
            ("/a", "1:1", "1:4"),
            ("/b", "5:1", "5:4"),
            ("/c", "8:1", "8:4"),
            ("/d", "9:1", "9:4"),
            ("/e", "12:1", "15:3"),
            ("/f", "17:1", "17:4"),
        ],
    );
    check(
        "a: \"one\n\n  two\"\nb: 'three\n  four'\nc: five\n  six\n\n  seven\nd: e\n",
        &[("/a", "1:1", "1:4"), ("/b", "4:1", "4:4"), ("/c", "6:1", "6:4"), ("/d", "10:1", "10:4")],
    );
    check(
        "a:\n  \"b\"\nc:\n\n  # d\n  e\nf:\ng: \nh: ~\n",
        &[("/a", "1:1", "2:3"), ("/c", "3:1", "6:3"), ("/f", "7:1", "7:1"), ("/g", "8:1", "8:1"), ("/h", "9:1", "9:4")],
    );
}

#[test]
fn yaml_places_of_collections() {
    check(
        "a:\n- b\n-   c: d\n    e: f\n-\n  - g\n  -   - h\n      - i\n- # x\n\n  j: k\n-\n- l",
        &[
            ("/a", "1:1", "2:1"),
            ("/a/0", "2:1", "2:3"),
            ("/a/1", "3:1", "3:5"),
            ("/a/1/e", "4:5", "4:8"),
            ("/a/2", "5:1", "6:3"),
            ("/a/2/0", "6:3", "6:5"),
            ("/a/2/1", "7:3", "7:7"),
            ("/a/2/1/1", "8:7", "8:9"),
            ("/a/3", "9:1", "11:3"),
            ("/a/3/j", "11:3", "11:6"),
            ("/a/4", "12:1", "12:1"),
            ("/a/5", "13:1", "13:3"),
        ],
    );
    check(
        "- - - a\n    - b\n  - c\n- [d,\n   {e: f, \"g\":h}, i: j]\n- {}\n- []\n",
        &[
            ("", "1:1", "1:1"),
            ("/0", "1:1", "1:3"),
            ("/0/0", "1:3", "1:5"),
            ("/0/0/0", "1:5", "1:7"),
            ("/0/0/1", "2:5", "2:7"),
            ("/0/1", "3:3", "3:5"),
            ("/1", "4:1", "4:3"),
            ("/1/0", "4:4", "4:4"),
            ("/1/1", "5:4", "5:4"),
            ("/1/1/e", "5:5", "5:8"),
            ("/1/1/g", "5:11", "5:15"),
            ("/1/2", "5:19", "5:19"),
            ("/1/2/i", "5:19", "5:22"),
            ("/2", "6:1", "6:3"),
            ("/3", "7:1", "7:3"),
        ],
    );
    check(
        "? a\n: b\n? |\n  c\n: - d\n  - e\n? f\n:\n  g: h\ni: {j, k: , l: m}\n",
        &[
            ("/a", "1:3", "2:3"),
            ("/c\n", "3:3", "5:3"),
            ("/c\n/0", "5:3", "5:5"),
            ("/c\n/1", "6:3", "6:5"),
            ("/f", "7:3", "9:3"),
            ("/f/g", "9:3", "9:6"),
            ("/i/j", "10:5", "10:5"),
            ("/i/k", "10:8", "10:8"),
            ("/i/l", "10:13", "10:16"),
        ],
    );
}

#[test]
fn yaml_places_do_not_depend_on_line_ends_and_marks() {
    for end in ["\n", "\r\n", "\r"] {
        for mark in ["", "\u{FEFF}"] {
            let text = "# é\nx: |\n  日本\n  é\nz:\n- \"a\n  b\"\n- ü: c\n".replace('\n', end);
            check(
                &format!("{mark}{text}"),
                &[
                    ("", "2:1", "2:1"),
                    ("/x", "2:1", "2:4"),
                    ("/z", "5:1", "6:1"),
                    ("/z/0", "6:1", "6:3"),
                    ("/z/1/ü", "8:3", "8:6"),
                ],
            );
        }
    }
    check(
        "{\n\t\"a\" :\t[ 1,\r\n\t\t{\"b\":2} ]\n}",
        &[
            ("", "1:1", "1:1"),
            ("/a", "2:2", "2:8"),
            ("/a/0", "2:10", "2:10"),
            ("/a/1", "3:3", "3:3"),
            ("/a/1/b", "3:4", "3:8"),
        ],
    );
    check("a: 1\n--- # x\n!!map\nb:\n  c: 2\n", &[("", "4:1", "4:1"), ("/b/c", "5:3", "5:6")]);
    check("--- |\n  text\n", &[("", "1:5", "1:5")]);
    check("--- [a]\n", &[("/0", "1:6", "1:6")]);
}

#[test]
fn yaml_brackets_may_close_at_the_column_of_their_key() {
    let text =
        "a: [\n  b,\n  {c: d\n}\n]\nspec:\n  e: {\n    f: [\n      g\n  ] , h: i\n}\n  j: |\n    [\n    ]\nk: l\n";
    check(
        text,
        &[
            ("/a/1/c", "3:4", "3:7"),
            ("/spec/e/f/0", "9:7", "9:7"),
            ("/spec/e/h", "10:7", "10:10"),
            ("/spec/j", "12:3", "12:6"),
            ("/k", "15:1", "15:4"),
        ],
    );
    assert_eq!(parse_one(text).value["spec"]["j"], "[\n]\n");
    let brackets = |count: usize| (0..count).fold(String::new(), |text, number| text + &format!("k{number}: [\n]\n"));
    let fields = parse_one(&brackets(300)).value;
    assert_eq!(fields.as_object().map(Map::len), Some(300));
    // Each one costs a reading, so there is an end.
    let error = yaml::parse(brackets(3000).as_bytes(), &Limits::default()).unwrap_err();
    assert!(error.at.line > 300 && error.at.column == 1 && error.message.contains("too far left"), "{error:?}");
}

#[test]
fn yaml_block_scalars_at_the_end_of_a_file() {
    for (text, expected) in [
        ("a: |\n  x", "x"),
        ("a: |\n  x\n", "x\n"),
        ("a: |\n  x\n  ", "x\n"),
        ("a: |\n  x\n ", "x\n"),
        ("a: |+\n  x\n\n", "x\n\n"),
        ("a: |-\n  x", "x"),
        ("a: >\n  x\n  y", "x y"),
        ("a: >\n  x\n  # y", "x # y"),
        ("a: |\n  x\n# y", "x\n"),
        ("a: |\n  x\n # y\n   # z", "x\n"),
        ("a: |", ""),
        ("a: |\n", ""),
        ("a: >+\n", ""),
        ("a: |+\n\n", "\n"),
        ("a: | # +\r\n\r\n", ""),
    ] {
        assert_eq!(parse_one(text).value["a"], expected, "{text:?}");
    }
}

#[test]
fn yaml_brackets_that_readers_disagree_on_are_refused() {
    for (text, column) in [("[a:, b]", 3), ("{é:, b}", 3), ("[x, k:]", 6), ("[?a]", 2), ("[b, ?c d]", 5)] {
        let error = yaml::parse(text.as_bytes(), &Limits::default()).unwrap_err();
        assert_eq!((error.at.line, error.at.column), (1, column), "{text}: {error}");
    }
    assert_eq!(parse_one("{a: , \"b\":c, d: e:f}").value, serde_json::json!({"a": null, "b": "c", "d": "e:f"}));
}

#[test]
fn yaml_places_of_pointers_that_lead_nowhere_are_those_of_the_nearest_parent() {
    let text = "a/b:\n  c~d: [x, y]\n  \"\": z\n";
    check(
        text,
        &[
            ("/a~1b/c~0d/1", "2:12", "2:12"),
            ("/a~1b/", "3:3", "3:7"),
            ("/a~1b/c~0d/2", "2:3", "2:8"),
            ("/a~1b/c~0d/01", "2:3", "2:8"),
            ("/a~1b/c~0d/+1", "2:3", "2:8"),
            ("/a~1b/c~0d/0/x/y", "2:9", "2:9"),
            ("/a~1b/no/such", "1:1", "2:3"),
            ("/a/b", "1:1", "1:1"),
            ("", "1:1", "1:1"),
            ("no pointer", "1:1", "1:1"),
        ],
    );
    assert_eq!(parse_one("---\n\n - x\n").start, parse_one("---\n\n - x\n").position("/nothing"));
}

/// Writes a random document and notes where everything is.
struct Writer {
    random: Random,
    text: String,
    end: &'static str,
    names: usize,
    /// Pointer, place of the key or item, place of the value.
    places: Vec<(String, Position, Position)>,
}

const WORDS: [&str; 8] = ["alpha", "über", "日本", "b-c", "\u{1F600}x", "d.e/f", "g~h", "ijk"];

impl Writer {
    fn chance(&mut self, one_in: usize) -> bool {
        self.random.below(one_in) == 0
    }

    fn put(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn spaces(&mut self, from: usize, to: usize) {
        let count = from + self.random.below(to - from + 1);
        self.put(&" ".repeat(count));
    }

    /// Ends the line; now and then with a comment, and with a blank or comment line after it.
    fn line(&mut self, may_comment: bool) {
        if may_comment && self.chance(8) {
            self.put("  # - é: [");
        }
        self.put(self.end);
        if may_comment && self.chance(10) {
            let blank = ["", "   ", "# x: y", "     # - z"][self.random.below(4)];
            self.put(blank);
            self.put(self.end);
        }
    }

    fn here(&self) -> Position {
        let line = self.text.matches('\n').count() + 1;
        let column = self.text.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        Position { line: u32::try_from(line).unwrap(), column: u32::try_from(column).unwrap() }
    }

    fn words(&mut self, count: usize) -> String {
        let words: Vec<_> = (0..count).map(|_| WORDS[self.random.below(WORDS.len())]).collect();
        words.join(" ")
    }

    fn name(&mut self) -> String {
        self.names += 1;
        format!("{}{}", WORDS[self.random.below(WORDS.len())], self.names)
    }

    fn key(&mut self, name: &str) {
        let written = match self.random.below(4) {
            0 => format!("'{name}'"),
            1 => format!("\"{name}\""),
            _ => name.to_owned(),
        };
        self.put(&written);
    }

    fn note(&mut self, pointer: &str, key: Option<Position>, value: Position) {
        self.places.push((pointer.to_owned(), key.unwrap_or(value), value));
    }

    /// A value behind `key:` or `-`, to the end of its line; `parent` is the indentation of what it belongs to.
    fn value(&mut self, pointer: &str, key: Position, parent: usize, depth: usize, in_mapping: bool) -> Value {
        if depth < 4 && self.chance(3) {
            return self.nested(pointer, key, parent, depth, in_mapping);
        }
        if self.chance(12) {
            self.line(true);
            self.note(pointer, Some(key), key);
            return Value::Null;
        }
        if self.chance(6) {
            self.line(true);
            self.spaces(parent + 1, parent + 3);
        } else {
            self.spaces(1, 3);
        }
        if depth < 4 && self.chance(4) {
            let value = self.flow(pointer, Some(key), parent, depth);
            self.line(true);
            return value;
        }
        if self.chance(10) {
            self.put("!!str ");
        }
        let at = self.here();
        self.note(pointer, Some(key), at);
        self.scalar(parent)
    }

    fn scalar(&mut self, parent: usize) -> Value {
        let (one, two) = (self.words(2), self.words(1));
        let indent = " ".repeat(parent + 2);
        let end = self.end;
        let fold = format!("{end}{indent}");
        let (written, value) = match self.random.below(9) {
            0 => (format!("'{one} ''{two}'"), format!("{one} '{two}")),
            1 => (format!("\"{one} \\t{two}\""), format!("{one} \t{two}")),
            2 => (format!("\"{one}{fold}{two}\""), format!("{one} {two}")),
            3 => (format!("'{one}{end}{fold}{two}'"), format!("{one}\n{two}")),
            4 => (format!("{one}{fold}{two}"), format!("{one} {two}")),
            5 => (format!("|{fold}{one}{end}{fold}{two}"), format!("{one}\n\n{two}\n")),
            6 => (format!("|-  # é{fold}{one}{fold}- {two}"), format!("{one}\n- {two}")),
            7 => (format!(">{fold}{one}{fold}{two}"), format!("{one} {two}\n")),
            _ => (format!("{one} {two}"), format!("{one} {two}")),
        };
        let block = written.starts_with(['|', '>']);
        self.put(&written);
        self.line(!block);
        Value::String(value)
    }

    fn nested(&mut self, pointer: &str, key: Position, parent: usize, depth: usize, in_mapping: bool) -> Value {
        let sequence = self.chance(2);
        let (first, indent) = if !in_mapping && self.chance(2) {
            // `- - a` and `- b: c`: the inner collection starts on the line of the dash.
            let before = self.text.chars().count();
            self.spaces(1, 3);
            (true, parent + 1 + self.text.chars().count() - before)
        } else {
            self.line(true);
            let deeper = if sequence && in_mapping { self.random.below(3) } else { 1 + self.random.below(3) };
            (false, parent + deeper)
        };
        if sequence {
            self.sequence(pointer, Some(key), indent, depth + 1, first)
        } else {
            self.mapping(pointer, Some(key), indent, depth + 1, first)
        }
    }

    fn mapping(&mut self, pointer: &str, key: Option<Position>, indent: usize, depth: usize, mut first: bool) -> Value {
        let slot = self.places.len();
        let mut start = None;
        let mut fields = Map::new();
        for _ in 0..=self.random.below(4) {
            if !std::mem::take(&mut first) {
                self.put(&" ".repeat(indent));
            }
            start.get_or_insert(self.here());
            let name = self.name();
            let inner = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
            let explicit = self.chance(10);
            if explicit {
                self.put("? ");
            }
            let at = self.here();
            self.key(&name);
            if explicit {
                self.put(self.end);
                self.put(&" ".repeat(indent));
            }
            self.put(":");
            let value = self.value(&inner, at, indent, depth, !explicit);
            fields.insert(name, value);
        }
        let start = start.unwrap();
        self.places.insert(slot, (pointer.to_owned(), key.unwrap_or(start), start));
        Value::Object(fields)
    }

    fn sequence(
        &mut self,
        pointer: &str,
        key: Option<Position>,
        indent: usize,
        depth: usize,
        mut first: bool,
    ) -> Value {
        let slot = self.places.len();
        let mut start = None;
        let mut items = Vec::new();
        for index in 0..=self.random.below(4) {
            if !std::mem::take(&mut first) {
                self.put(&" ".repeat(indent));
            }
            let at = self.here();
            start.get_or_insert(at);
            self.put("-");
            items.push(self.value(&format!("{pointer}/{index}"), at, indent, depth, false));
        }
        let start = start.unwrap();
        self.places.insert(slot, (pointer.to_owned(), key.unwrap_or(start), start));
        Value::Array(items)
    }

    fn flow(&mut self, pointer: &str, key: Option<Position>, parent: usize, depth: usize) -> Value {
        let at = self.here();
        self.note(pointer, key, at);
        if depth > 6 || self.chance(2) {
            let count = 1 + self.random.below(2);
            let text = self.words(count);
            let quoted = [text.clone(), format!("'{text}'"), format!("\"{text}\"")];
            let style = self.random.below(3);
            self.put(&quoted[style]);
            return Value::String(text);
        }
        let count = self.random.below(4);
        if self.chance(2) {
            self.put("[");
            let mut items = Vec::new();
            for index in 0..count {
                self.gap(parent);
                items.push(self.flow(&format!("{pointer}/{index}"), None, parent, depth + 1));
                self.put(if index + 1 < count { "," } else { "" });
            }
            self.gap(parent);
            self.put("]");
            return Value::Array(items);
        }
        self.put("{");
        let mut fields = Map::new();
        for index in 0..count {
            self.gap(parent);
            let name = self.name();
            let inner = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
            let at = self.here();
            self.key(&name);
            self.put(":");
            self.spaces(1, 2);
            let value = self.flow(&inner, Some(at), parent, depth + 1);
            fields.insert(name, value);
            self.put(if index + 1 < count { "," } else { "" });
        }
        self.gap(parent);
        self.put("}");
        Value::Object(fields)
    }

    /// What may stand between the parts of a collection in brackets.
    fn gap(&mut self, parent: usize) {
        if self.chance(4) {
            let comment = if self.chance(3) { "  # é, [" } else { "" };
            self.put(comment);
            self.put(self.end);
            self.spaces(parent + 1, parent + 6);
        } else {
            self.spaces(0, 2);
        }
    }
}

#[test]
fn yaml_places_in_generated_documents_are_where_they_were_written() {
    let mut leaves = 0;
    for seed in 0..1500 {
        let end = if seed % 3 == 0 { "\r\n" } else { "\n" };
        let mut writer = Writer { random: Random(seed), text: String::new(), end, names: 0, places: Vec::new() };
        if writer.chance(3) {
            writer.put(&format!("a: é{end}---{end}"));
        }
        writer.line(true);
        let value = match writer.random.below(4) {
            0 => writer.sequence("", None, 0, 0, false),
            1 => {
                let flow = writer.flow("", None, 0, 0);
                writer.line(true);
                flow
            }
            _ => writer.mapping("", None, 0, 0, false),
        };
        let document = parse_one(&writer.text);
        assert_eq!(document.value, value, "seed {seed}\n{}", writer.text);
        for (pointer, key, value) in &writer.places {
            let found = (document.position(pointer), document.value_position(pointer));
            assert_eq!(found, (*key, *value), "seed {seed}: {pointer}\n{}", writer.text);
            leaves += usize::from(
                document.value.pointer(pointer).is_some_and(|value| !value.is_array() && !value.is_object()),
            );
        }
    }
    assert!(leaves > 5000, "{leaves}");
}
