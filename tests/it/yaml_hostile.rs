//! Input that was made to hurt: too large, too deep, not text, or slow to read. Nothing here may panic or take long.

use std::time::{Duration, Instant};

use holdfast::yaml::{self, Document, Error, ErrorKind, Limits};

use super::yaml_positions::Random;

/// What one file of the largest size may take in an unoptimised build on a loaded machine: seven times the slowest shape.
const TIME_MAX: Duration = Duration::from_secs(5);
/// A little below the largest file, which leaves room for what a shape puts around its filling.
const SIZE: usize = 1024 * 1024 - 64;

fn parse(text: &str) -> Result<Vec<Document>, Error> {
    yaml::parse(text.as_bytes(), &Limits::default())
}

fn refused(text: &str) -> (ErrorKind, u32, u32) {
    match parse(text) {
        Ok(documents) => panic!("accepted as {documents:?}: {text:?}"),
        Err(error) => (error.kind, error.at.line, error.at.column),
    }
}

/// Repeats a unit up to the largest size.
fn full(unit: &str) -> String {
    unit.repeat(SIZE / unit.len())
}

fn each(count: usize, part: fn(usize) -> String) -> String {
    (0..count).map(part).collect()
}

fn shapes() -> Vec<(&'static str, String)> {
    let half = "a,".repeat(SIZE / 5);
    let quarter = "a,".repeat(SIZE / 10);
    vec![
        ("brackets", full("[")),
        ("braces", full("{a: ")),
        ("closed brackets", format!("{}{}", "[".repeat(SIZE / 2), "]".repeat(SIZE / 2))),
        ("stray closing brackets", full("]")),
        ("dashes", full("- ")),
        ("dashes on lines", full("-\n")),
        ("question marks", full("? ")),
        ("question marks on lines", full("?\n")),
        ("colons", full(": ")),
        ("mappings by indentation", each(1400, |depth| format!("{}a:\n", " ".repeat(depth)))),
        ("long keys", each(64, |number| format!("{}{number}: 1\n", "k".repeat(16_000)))),
        ("one long key", format!("{}: 1\n", "k".repeat(SIZE - 4))),
        ("long key over many items", format!("{}:\n{}", "k".repeat(500), "- a\n".repeat(250_000))),
        ("many keys", each(80_000, |number| format!("key{number}: 1\n"))),
        ("documents", full("---\n")),
        ("documents with content", full("--- a\n")),
        ("document ends", full("...\n")),
        ("one plain scalar", full("a")),
        ("one plain scalar of words", full("a ")),
        ("plain lines", full("a\n")),
        ("one quoted scalar", format!("\"{}\"", full("a").split_at(SIZE - 2).0)),
        ("quoted lines", format!("a: \"{}", full("\n "))),
        ("unclosed quotes", full("'a\n")),
        ("escapes", format!("\"{}", full("\\x41"))),
        ("bad escapes", full("\"\\q")),
        ("block scalar", format!("a: |\n{}", full(" a\n"))),
        ("deeply indented block scalar", format!("a: |\n{}a\n", " ".repeat(SIZE - 10))),
        ("block scalars", full("- |\n a\n")),
        ("block scalars behind comments", full("- # x\n  |\n a\n")),
        ("blank lines in a block scalar", format!("a: |\n{}", full("\n"))),
        ("tabs", full("\t")),
        ("tabbed lines", format!("a:\n{}b: 1", full("\t\n"))),
        ("tabs behind a key", format!("a:{}b", full("\t"))),
        ("spaces between dashes", format!("{}a", full(&format!("-{}", " ".repeat(16_000))))),
        ("comments", full("# a\n")),
        ("one comment", full("#")),
        ("carriage returns", full("\r")),
        ("flow items", format!("[{half}]")),
        ("flow items without end", format!("[{half}")),
        ("flow entries", format!("[{}", full(","))),
        ("flow pairs", format!("[{}]", "a: b,".repeat(SIZE / 6))),
        ("flow mappings", format!("[{}]", "{},".repeat(SIZE / 4))),
        ("flow keys", format!("{{{}}}", each(80_000, |number| format!("a{number}: 1,")))),
        ("collections as keys", format!("[{}]", "[a]: b,".repeat(SIZE / 8))),
        ("nested collections as keys", format!("[{half}{}{quarter}{}]", "[".repeat(250), "]: x".repeat(250))),
        ("items inside many brackets", format!("{}{half}{}", "[".repeat(250), "]".repeat(250))),
        ("items inside few brackets", format!("{}{half}{}", "[".repeat(60), "]".repeat(60))),
        ("brackets that close too far left", each(80_000, |number| format!("k{number}: [\n]\n"))),
        ("anchors", full("- &a b\n")),
        ("aliases", format!("- &a b\n{}", "- *a\n".repeat(SIZE / 6))),
        ("tags", full("! ")),
        ("tagged items", full("- !!str a\n")),
        ("directives", full("%TAG ! x\n")),
        ("unknown directives", full("%A\n")),
        ("percent signs", full("%")),
        ("surrogates", format!("\"{}\"", "\\ud83d\\ude00".repeat(SIZE / 13))),
        ("broken surrogates", format!("\"{}", full("\\ud83d"))),
        ("wide characters", full("\u{1F600}")),
        ("wide keys", each(60_000, |number| format!("\u{e9}{number}: \u{1F600}\n"))),
        ("duplicate keys", full("a: 1\n")),
    ]
}

#[test]
fn yaml_hostile_shapes_take_linear_time() {
    for (name, text) in shapes() {
        // The best of three: whatever else the machine does is no fault of the parser.
        let tries = std::iter::repeat_with(|| {
            let start = Instant::now();
            (parse(&text), start.elapsed())
        });
        let mut tries = tries.take(3);
        let (result, mut taken) = tries.next().expect("three tries");
        if taken >= TIME_MAX {
            taken = tries.map(|(_, taken)| taken).min().expect("two more tries");
        }
        let oversized = matches!(&result, Err(error) if error.message.contains("bytes"));
        assert!(!oversized, "{name} has {} bytes and was not read at all", text.len());
        assert!(taken < TIME_MAX, "{name} took {taken:?}");
    }
}

#[test]
fn yaml_hundred_thousand_brackets_fail_at_once() {
    let text = "[".repeat(100_000);
    let start = Instant::now();
    assert_eq!(refused(&text), (ErrorKind::Limit, 1, 65));
    assert_eq!(refused(&format!("a:\n  {text}")), (ErrorKind::Limit, 2, 2 + 64));
    assert!(start.elapsed() < Duration::from_millis(500), "took {:?}", start.elapsed());
}

#[test]
fn yaml_limits_are_the_last_values_that_pass() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse(&nested(64)).is_ok());
    assert_eq!(refused(&nested(65)), (ErrorKind::Limit, 1, 65));
    let indented = |depth: usize| each(depth, |level| format!("{}a:\n", " ".repeat(level)));
    assert!(parse(&indented(64)).is_ok());
    assert_eq!(refused(&indented(65)), (ErrorKind::Limit, 65, 65));
    // A sequence at the indentation of its key has no token of its own.
    let unindented = |depth: usize| format!("{}{}", indented(depth), format_args!("{}- x\n", " ".repeat(depth - 1)));
    assert!(parse(&unindented(63)).is_ok());
    assert_eq!(refused(&unindented(64)), (ErrorKind::Limit, 65, 64));

    let limits = Limits { bytes: 12, documents: 2, depth: 2, nodes: 4 };
    let refused = |text: &str| {
        let error = yaml::parse(text.as_bytes(), &limits).unwrap_err();
        (error.kind, error.at.line, error.at.column)
    };
    assert!(yaml::parse(b"a: 1\nb: 2\n ", &limits).is_err(), "a mapping, two keys and two values are five nodes");
    assert!(yaml::parse(b"[1, 2, 3]\n  ", &limits).is_ok());
    assert_eq!(refused("[1,2,3,4]"), (ErrorKind::Limit, 1, 8));
    assert_eq!(refused("0123456789abc"), (ErrorKind::Limit, 1, 1));
    assert!(yaml::parse(b"--- a\n--- b", &limits).is_ok());
    let few = Limits { documents: 2, ..Limits::default() };
    let error = yaml::parse(b"a\n---\n---\nb\n---\nc\n", &few).unwrap_err();
    assert_eq!((error.kind, error.at.line, error.at.column), (ErrorKind::Limit, 6, 1), "empty documents do not count");
}

#[test]
fn yaml_bytes_that_are_not_text_are_named_with_their_place() {
    let cases: [(&[u8], u32, u32); 12] = [
        (b"a: \0", 1, 4),
        (b"\0", 1, 1),
        (b"a: 1\r\nb: \x07x", 2, 4),
        (b"a: 1\rb: \x1b", 2, 4),
        (b"\xEF\xBB\xBFa: \x01", 1, 4),
        ("a: \u{e9}\u{1F600}\u{85}".as_bytes(), 1, 6),
        ("# \u{2028}a: 1".as_bytes(), 1, 3),
        ("a: 1\n---\n\u{FEFF}b: 1".as_bytes(), 3, 1),
        (b"\xff\xfea\0", 1, 1),
        (b"a: 1\nb: \xC3\xA9\xC3(", 2, 5),
        (b"a: \xE2\x82", 1, 4),
        (b"\x02\xff", 1, 1),
    ];
    for (bytes, line, column) in cases {
        let error = yaml::parse(bytes, &Limits::default()).unwrap_err();
        let found = (error.kind, error.at.line, error.at.column);
        assert_eq!(found, (ErrorKind::Encoding, line, column), "{:?}: {error}", bytes.escape_ascii().to_string());
    }
    let document = &yaml::parse(b"\xEF\xBB\xBFa: 1\n", &Limits::default()).unwrap()[0];
    assert_eq!((document.start.line, document.start.column), (1, 1));
}

#[test]
fn yaml_documents_without_content_are_left_out() {
    for text in [
        "",
        "\n\n",
        "# a\n",
        "---\n",
        "---\n---\n",
        "...\n",
        "~\n",
        "--- null\n",
        "---\n# a\n...\n",
        "%YAML 1.1\n---\n",
    ] {
        assert_eq!(parse(text).unwrap(), [], "{text:?}");
    }
    let documents = parse("# one\n---\na: 1\n---\n---\n# two\n  \n--- # three\n- b\n...\n\"c\"\n").unwrap();
    let starts: Vec<_> = documents.iter().map(|document| (document.start.line, document.start.column)).collect();
    assert_eq!(starts, [(3, 1), (9, 1), (11, 1)]);
}

/// Text that means something somewhere.
const PIECES: [&str; 44] = [
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    ": ",
    "- ",
    "-",
    "? ",
    "?",
    "|",
    ">",
    "|2-",
    ">+\n",
    "&a ",
    "*a ",
    "!",
    "!!str ",
    "!<",
    "%",
    "@",
    "`",
    "'",
    "\"",
    "\\",
    "\\u",
    "#",
    " #",
    "\n",
    "\r\n",
    "\r",
    "\t",
    " ",
    "  ",
    "---\n",
    "...\n",
    "<<: ",
    "\u{e9}",
    "\u{1F600}",
    "\0",
    "\u{FEFF}",
    "\n\n  ",
    "a: 1\n",
];

#[test]
fn yaml_broken_files_never_panic_and_faults_lie_inside_the_file() {
    let mut random = Random(0x5eed);
    let documents = super::yaml_positions::corpus();
    for round in 0..20_000 {
        // Half of the rounds break an example, the others are nothing but pieces.
        let (mut text, pieces) = match random.below(2) {
            0 => (documents[random.below(documents.len())].clone(), 4),
            _ => (String::new(), 24),
        };
        for _ in 0..=random.below(pieces) {
            let mut at = random.below(text.len() + 1);
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            if random.below(3) == 0 {
                text.truncate(at);
            } else {
                text.insert_str(at, PIECES[random.below(PIECES.len())]);
            }
        }
        if let Err(error) = parse(&text) {
            let line = text.split_inclusive(['\n', '\r']).count() + 1;
            assert!((1..=line).contains(&(error.at.line as usize)), "round {round}: {error:?}\n{text}");
            assert!(
                (1..=text.chars().count() + 1).contains(&(error.at.column as usize)),
                "round {round}: {error:?}\n{text}"
            );
        }
    }
}
