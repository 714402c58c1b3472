//! Faults put into good documents are reported where they were put.

use holdfast::yaml;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use yaml::{ErrorKind, Limits, Position};

/// A small seeded generator (`SplitMix64`), so that a failing round can be run again.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((bits ^ (bits >> 31)) % end as u64).unwrap()
    }
}

/// The example manifests, in the order of their names.
pub(crate) fn corpus() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/corpus/examples");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let documents: Vec<_> = paths.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    assert!(documents.len() > 100);
    documents
}

fn position(line: usize, column: usize) -> Position {
    Position { line: u32::try_from(line).unwrap(), column: u32::try_from(column).unwrap() }
}

/// A line `key: value` of a good document whose value is one plain word or a few, all on that line.
#[derive(Debug, Clone)]
struct Site {
    /// 1-based.
    line: usize,
    /// What stands before the key: spaces and dashes.
    lead: String,
    key: String,
    value: String,
    /// The line above belongs to the same mapping and has a value too.
    follows: bool,
}

impl Site {
    fn key_column(&self) -> usize {
        self.lead.chars().count() + 1
    }

    fn value_column(&self) -> usize {
        self.key_column() + self.key.chars().count() + 2
    }
}

const INLINE: [&str; 3] = [
    "wörter:\n  übung: straße # größe\n  日本: 語\n  list:\n    - näme: ä\n      wert: ö ü\n    - näme: é\n      wert: ñ\nende: gut\n",
    "a:\r\n  b: one\r\n  c: two words\r\n  d:\r\n  - e: three\r\n    f: four\r\n",
    "# \u{1F600}\n---\nk: v\nm:\n    n: o\n    p:\n        - q: r\n          s: t\n    u: v\n",
];

fn sites(text: &str) -> Vec<Site> {
    let lines: Vec<&str> = text.lines().collect();
    let block_scalars = lines.iter().any(|line| line.trim_end().ends_with(['|', '>', '-', '+']));
    let quotes = text.contains(['"', '\'']);
    if block_scalars || quotes || text.contains(['[', '{', '&', '*', '?']) {
        return Vec::new();
    }
    let mut found: Vec<Site> = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let body = line.trim_start_matches([' ', '-']);
        let Some((key, value)) = body.split_once(": ") else { continue };
        let word = |text: &str| !text.is_empty() && !text.contains([':', '#', '%', '@', '`', '!', '|', '>', ',']);
        let lead = &line[..line.len() - body.len()];
        let below = lines[index + 1..].iter().find(|below| !below.trim().is_empty());
        let single = below.is_none_or(|below| indentation(below) <= lead.len());
        if body.starts_with('#') || !word(key) || !word(value) || !single {
            continue;
        }
        let follows = !lead.contains('-')
            && found.last().is_some_and(|above| above.line == index && above.lead.len() == lead.len());
        let site =
            Site { line: index + 1, lead: lead.to_owned(), key: key.to_owned(), value: value.to_owned(), follows };
        found.push(site);
    }
    found
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// What is done to a line: the text that replaces it, and the fault that must be found.
struct Mutation {
    text: String,
    kind: ErrorKind,
    at: Position,
}

/// Every way to break a line at a known place; `None` if it does not apply to this line.
type Break = fn(&Site) -> Option<Mutation>;

#[expect(clippy::unnecessary_wraps, reason = "the shape of every break")]
fn replaced(site: &Site, value: &str, kind: ErrorKind, offset: usize) -> Option<Mutation> {
    let text = format!("{}{}: {value}", site.lead, site.key);
    Some(Mutation { text, kind, at: position(site.line, site.value_column() + offset) })
}

#[expect(clippy::unnecessary_wraps, reason = "the shape of every break")]
fn whole(site: &Site, body: &str, kind: ErrorKind, offset: usize) -> Option<Mutation> {
    let text = format!("{}{body}", site.lead);
    Some(Mutation { text, kind, at: position(site.line, site.key_column() + offset) })
}

/// A line of the same mapping below the site.
#[expect(clippy::unnecessary_wraps, reason = "the shape of every break")]
fn added(site: &Site, body: &str, kind: ErrorKind, offset: usize) -> Option<Mutation> {
    let spaces = " ".repeat(site.lead.len());
    let text = format!("{}{}: {}\n{spaces}{body}", site.lead, site.key, site.value);
    Some(Mutation { text, kind, at: position(site.line + 1, site.key_column() + offset) })
}

/// Names and mutations. Left out, since YAML readers cannot tell the place: a quote that is closed by mistake on the
/// same line, a comma left out between two plain words (they are one), a lone word as the first line of a mapping
/// (it is read on into the next line).
const BREAKS: [(&str, Break); 40] = [
    ("tab for indentation", |site| {
        let text = format!("\t{}: {}", site.key, site.value);
        let indented = site.lead.starts_with(' ') && !site.lead.contains('-');
        indented.then(|| Mutation { text, kind: ErrorKind::Syntax, at: position(site.line, 1) })
    }),
    ("tab within indentation", |site| {
        let text = format!("{}\t{}: {}", site.lead.get(1..).unwrap_or(""), site.key, site.value);
        let applies = site.follows && site.lead.len() > 1;
        applies.then(|| Mutation { text, kind: ErrorKind::Syntax, at: position(site.line, site.lead.len()) })
    }),
    ("unclosed double quote", |site| replaced(site, &format!("\"{}", site.value), ErrorKind::Syntax, 0)),
    ("unclosed single quote", |site| replaced(site, &format!("'{}", site.value), ErrorKind::Syntax, 0)),
    ("unclosed quote before a quote", |site| added(site, "zz: \"a\n# \"b\"", ErrorKind::Syntax, 4)),
    ("unclosed bracket", |site| replaced(site, &format!("[{}", site.value), ErrorKind::Syntax, 0)),
    ("unclosed brace", |site| replaced(site, "{a: b", ErrorKind::Syntax, 0)),
    ("unclosed inner bracket", |site| replaced(site, "[[a], [b]", ErrorKind::Syntax, 0)),
    ("unclosed bracket over lines", |site| {
        let inner = " ".repeat(site.lead.len() + 2);
        replaced(site, &format!("[a,\n{inner}b,\n{inner}c"), ErrorKind::Syntax, 0)
    }),
    ("wrong closing bracket", |site| replaced(site, "[a, b}", ErrorKind::Syntax, 5)),
    ("stray closing bracket", |site| replaced(site, "]", ErrorKind::Syntax, 0)),
    ("bracket after a bracket", |site| replaced(site, "[a]]", ErrorKind::Syntax, 3)),
    ("duplicate key", |site| added(site, &format!("{}: x", site.key), ErrorKind::DuplicateKey, 0)),
    ("duplicate quoted key", |site| added(site, &format!("\"{}\": x", site.key), ErrorKind::DuplicateKey, 0)),
    ("duplicate key in braces", |site| replaced(site, "{é: 1, é: 2}", ErrorKind::DuplicateKey, 7)),
    ("duplicate key by meaning", |site| replaced(site, "{yes: 1, \"true\": 2}", ErrorKind::DuplicateKey, 9)),
    ("duplicate number key", |site| replaced(site, "{8: 1, 010: 2}", ErrorKind::DuplicateKey, 7)),
    ("alias", |site| replaced(site, "*x", ErrorKind::Alias, 0)),
    ("anchor", |site| replaced(site, &format!("&x {}", site.value), ErrorKind::Alias, 0)),
    ("anchor behind a tag", |site| replaced(site, "!!str &x y", ErrorKind::Alias, 6)),
    ("anchor in brackets", |site| replaced(site, "[ü, &x y]", ErrorKind::Alias, 4)),
    ("anchor on a key", |site| added(site, "&x zz: y", ErrorKind::Alias, 0)),
    ("merge key", |site| added(site, "<<: {a: b}", ErrorKind::Alias, 0)),
    ("unknown tag", |site| replaced(site, &format!("!Ref {}", site.value), ErrorKind::Syntax, 0)),
    ("unknown core tag", |site| replaced(site, "[ä, !!binary aGk=]", ErrorKind::Syntax, 4)),
    ("tag that does not fit", |site| replaced(site, "!!int x", ErrorKind::Syntax, 6)),
    ("control character", |site| replaced(site, "ab\u{7}c", ErrorKind::Encoding, 2)),
    ("zero byte", |site| replaced(site, "é\0c", ErrorKind::Encoding, 1)),
    ("unindented by one", |site| {
        let text = format!("{}{}: {}", site.lead.get(1..).unwrap_or(""), site.key, site.value);
        let applies = site.follows && site.lead.len() > 1;
        applies.then(|| Mutation { text, kind: ErrorKind::Syntax, at: position(site.line, site.lead.len()) })
    }),
    ("indented by one", |site| {
        let text = format!("{} {}: {}", site.lead, site.key, site.value);
        site.follows.then(|| Mutation { text, kind: ErrorKind::Syntax, at: position(site.line, site.key_column() + 1) })
    }),
    ("missing colon", |site| if site.follows { whole(site, &site.key, ErrorKind::Syntax, 0) } else { None }),
    ("missing space", |site| {
        let body = format!("{}:{}", site.key, site.value);
        if site.follows { whole(site, &body, ErrorKind::Syntax, 0) } else { None }
    }),
    ("second colon", |site| replaced(site, "a: b", ErrorKind::Syntax, 1)),
    ("bad escape", |site| replaced(site, "\"é\\qb\"", ErrorKind::Syntax, 2)),
    ("bad hexadecimal escape", |site| replaced(site, "\"\\n\\u00g0\"", ErrorKind::Syntax, 3)),
    ("text after a quote", |site| replaced(site, "\"é\" x", ErrorKind::Syntax, 4)),
    ("reserved character", |site| replaced(site, &format!("@{}", site.value), ErrorKind::Syntax, 0)),
    ("item behind a key", |site| replaced(site, "- a", ErrorKind::Syntax, 0)),
    ("item among keys", |site| added(site, "-  é", ErrorKind::Syntax, 0)),
    ("collection as key", |site| added(site, "[a]: b", ErrorKind::Syntax, 0)),
];

#[test]
fn yaml_faults_are_found_where_they_were_put() {
    let mut documents = corpus();
    documents.extend(INLINE.iter().map(|text| (*text).to_owned()));
    let sites: Vec<(usize, Site)> = documents
        .iter()
        .enumerate()
        .flat_map(|(index, text)| sites(text).into_iter().map(move |site| (index, site)))
        .collect();
    assert!(sites.len() > 200, "{}", sites.len());
    let mut random = Random(2026);
    let mut done: BTreeMap<&str, usize> = BTreeMap::new();
    let mut wrong = String::new();
    for _ in 0..4000 {
        // Every second one from the inline documents, for their wide characters and line ends.
        let from = if random.below(2) == 0 {
            sites.partition_point(|(index, _)| *index < documents.len() - INLINE.len())
        } else {
            0
        };
        let (index, site) = &sites[from + random.below(sites.len() - from)];
        let (name, mutation) = BREAKS[random.below(BREAKS.len())];
        let Some(Mutation { text, kind, at }) = mutation(site) else { continue };
        let end = if documents[*index].contains('\r') { "\r\n" } else { "\n" };
        let lines: Vec<_> = documents[*index].lines().collect();
        let broken: String = lines
            .iter()
            .enumerate()
            .map(|(number, line)| if number + 1 == site.line { format!("{text}{end}") } else { format!("{line}{end}") })
            .collect();
        *done.entry(name).or_default() += 1;
        match yaml::parse(broken.as_bytes(), &Limits::default()) {
            Err(error) if (error.kind, error.at) == (kind, at) => {}
            Err(error) => writeln!(wrong, "{name}: expected {kind:?} {at:?}, found {error:?}\n{text}\n").unwrap(),
            Ok(_) => writeln!(wrong, "{name}: accepted\n{broken}").unwrap(),
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(done.len() == BREAKS.len() && done.values().sum::<usize>() > 2000, "{done:?}");
}
