//! Random histories, judged by `restic forget` and by us.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aes256ctr_poly1305aes::aead::Aead as _;
use aes256ctr_poly1305aes::{Aes256CtrPoly1305Aes, Key, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use holdfast::repository::retention::{Counted, Decision, Group, GroupBy, Keep, Scope, TagList, decide};
use holdfast::repository::{FileId, FileKind, FileName, Folder, Opened, Snapshot, Store as _};
use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::restic::{PASSWORD, Restic};

/// So many calls of restic, each for so many histories beside each other; and one more where all of them are one history.
const ROUNDS: u64 = 50;
const HISTORIES: usize = 10;
const SNAPSHOTS_MAX: usize = 24;
const FLAGS: [&str; 6] =
    ["--keep-last", "--keep-hourly", "--keep-daily", "--keep-weekly", "--keep-monthly", "--keep-yearly"];
/// What scrypt makes of the password of the tests with the parameters of [`cheap`]: restic derives it in each call, and with
/// the parameters of a real key that takes longer than all else.
const DERIVED: [&str; 2] = [
    "82efb4a9908f622847a22977049ba11c7a1cae876368afc420501ec839194715",
    "8bf72d7c541fab9cf8b1274e2c411f8b3fa9762da0e24e93797682706d95ebe0",
];
const KEEP_TAGS: [&str; 6] = ["a", "a,b", "b, a", "c", "", ",a"];

/// splitmix64: equal seeds give equal histories.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % limit as u64).expect("below a usize")
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// Some words, in any order and also twice.
    fn words<'a>(&mut self, of: &[&'a str], most: usize) -> Vec<&'a str> {
        (0..self.below(most + 1)).map(|_| self.pick(of)).collect()
    }
}

/// One snapshot file as restic writes it.
fn written(time: &str, host: &str, paths: &[&str], tags: &[&str]) -> Value {
    let mut snapshot = json!({
        "time": time, "tree": format!("{:064}", 7), "paths": paths, "hostname": host, "username": "backup",
    });
    if !tags.is_empty() {
        snapshot["tags"] = json!(tags);
    }
    snapshot
}

/// Snapshots of one host. Moments differ by nanoseconds at least, but for twins that are alike in all: of those restic takes
/// any as the newer one.
fn history(chance: &mut Chance, host: &str, nanosecond: &mut i64) -> Vec<Value> {
    let span = chance.pick(&[2, 7_200, 400_000, 10_000_000, 150_000_000]);
    let mut snapshots = Vec::new();
    for _ in 0..=chance.below(SNAPSHOTS_MAX) {
        *nanosecond += 1;
        let second = 1_703_980_000 + i64::try_from(chance.below(span)).expect("it is small");
        let moment = Timestamp::from_second(second).expect("of this century").as_nanosecond() + i128::from(*nanosecond);
        let minutes = chance.pick(&[0, 0, 0, 60, 330, -300, -720, 840]);
        let zone = TimeZone::fixed(Offset::from_seconds(minutes * 60).expect("of this world"));
        let zoned = Timestamp::from_nanosecond(moment).expect("of this century").to_zoned(zone);
        let time = zoned.strftime("%Y-%m-%dT%H:%M:%S.%f%:z").to_string();
        let paths = chance.pick::<&[&str]>(&[&["/x"], &["/x"], &["/x", "/y"], &["/y", "/x"]]);
        let snapshot = written(&time, host, paths, &chance.words(&["a", "b", "d"], 3));
        for _ in 0..chance.pick(&[1, 1, 1, 1, 1, 2, 3]) {
            snapshots.push(snapshot.clone());
        }
    }
    snapshots
}

/// What both sides say of one snapshot: its group, and the reasons to keep it; none if it goes.
type Verdict = (String, Vec<String>);

fn key(host: &str, paths: &[String], tags: &[String]) -> String {
    format!("host {host:?}, paths {paths:?}, tags {tags:?}")
}

fn words(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(|word| word.as_str().expect("a word").to_owned()).collect()
}

fn by_restic(printed: &str) -> BTreeMap<FileId, Verdict> {
    let groups: Value = serde_json::from_str(printed).expect("restic prints JSON");
    let id = |snapshot: &Value| -> FileId { snapshot["id"].as_str().expect("a name").parse().expect("a name") };
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut verdicts = BTreeMap::new();
    for group in list(&groups) {
        let key = key(group["host"].as_str().unwrap_or_default(), &words(&group["paths"]), &words(&group["tags"]));
        let (keep, reasons) = (list(&group["keep"]), list(&group["reasons"]));
        assert_eq!(keep.len(), reasons.len());
        for (snapshot, reason) in keep.iter().zip(&reasons) {
            verdicts.insert(id(snapshot), (key.clone(), words(&reason["matches"])));
        }
        verdicts.extend(list(&group["remove"]).iter().map(|snapshot| (id(snapshot), (key.clone(), Vec::new()))));
    }
    verdicts
}

fn by_us(groups: Vec<Group>) -> BTreeMap<FileId, Verdict> {
    let mut verdicts = BTreeMap::new();
    for Group { key: of, decided, shrunk } in groups {
        assert_eq!(shrunk, []);
        let key = key(&of.host.unwrap_or_default(), &of.paths.unwrap_or_default(), &of.tags.unwrap_or_default());
        for decided in decided {
            let reasons = match decided.decision {
                Decision::Keep(rules) => rules.iter().map(ToString::to_string).collect(),
                Decision::Remove => Vec::new(),
                Decision::Hold(hold) => panic!("nothing is held: {hold}"),
            };
            verdicts.insert(decided.snapshot, (key.clone(), reasons));
        }
    }
    verdicts
}

/// Rules, as restic's flags and as ours. None of them is empty.
fn rules(chance: &mut Chance) -> (Vec<String>, Keep) {
    let (mut flags, mut counts, mut tags) = (Vec::new(), Vec::new(), Vec::new());
    for (flag, counted) in FLAGS.iter().zip(Counted::ALL) {
        let count = chance.pick(&[0, 0, 0, 1, 2, 3, 5, 12]);
        if count > 0 {
            flags.extend([(*flag).to_owned(), count.to_string()]);
        }
        counts.push((counted, count));
    }
    for tag in chance.words(&KEEP_TAGS, 2).into_iter().chain(flags.is_empty().then_some("a")) {
        flags.extend(["--keep-tag".to_owned(), tag.to_owned()]);
        tags.push(TagList::parse(tag));
    }
    (flags, Keep::new(counts, tags))
}

/// A file that opens a repository with the password at once; `master` is its key as `restic cat` prints it.
fn cheap(master: &str) -> Value {
    let derived: Vec<u8> = DERIVED.iter().flat_map(|half| half.parse::<FileId>().expect("hexadecimal").0).collect();
    let nonce = [7; 16];
    let sealed =
        Aes256CtrPoly1305Aes::new(Key::from_slice(&derived)).encrypt(Nonce::from_slice(&nonce), master.as_bytes());
    let data = [nonce.as_slice(), &sealed.expect("sealed")].concat();
    let base64 = |bytes: &[u8]| STANDARD.encode(bytes);
    json!({"kdf": "scrypt", "N": 2, "r": 1, "p": 1, "salt": base64(&[0; 64]), "data": base64(&data)})
}

/// A repository whose snapshot files are written by the test.
struct Repository {
    restic: Restic,
    opened: Opened,
}

impl Repository {
    fn new() -> Self {
        let restic = Restic::new();
        let folder = Folder::new(restic.repository());
        restic.done(&["init"]);
        let (dear, _) = folder.list(FileKind::Key).expect("listed")[0];
        let key = Bytes::from(cheap(&restic.done(&["cat", "masterkey"])).to_string());
        let name = FileName::Of(FileKind::Key, FileId(Sha256::digest(&key).into()));
        folder.create(name, &[key]).expect("created");
        folder.remove(FileName::Of(FileKind::Key, dear)).expect("removed");
        let opened = Opened::open(Arc::new(folder), PASSWORD).expect("it opens");
        std::fs::create_dir_all(restic.repository().join(FileKind::Snapshot.folder())).expect("it can be made");
        Self { restic, opened }
    }

    /// In the place of all that were there.
    fn fill(&self, files: &[Value]) -> Vec<Snapshot> {
        let folder = self.restic.repository().join(FileKind::Snapshot.folder());
        for entry in std::fs::read_dir(&folder).expect("listed") {
            std::fs::remove_file(entry.expect("an entry").path()).expect("removed");
        }
        let seal = self.opened.seal();
        let write = |file: &Value| {
            let sealed = seal.close(file.to_string().as_bytes()).expect("sealed");
            let id = FileId(Sha256::digest(&sealed).into());
            let name = FileName::Of(FileKind::Snapshot, id).to_string();
            std::fs::write(self.restic.repository().join(name), &sealed).expect("written");
            Snapshot::read(id, &sealed.into(), &seal).expect("it is one")
        };
        files.iter().map(write).collect()
    }

    fn forget(&self, flags: &[String], zone: &str) -> String {
        let mut command = self.restic.command(&["forget", "--dry-run", "--json", "--no-cache", "--no-lock"]);
        let output = command.args(flags).env("TZ", zone).output().expect("restic is installed");
        assert!(output.status.success(), "{flags:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    }
}

/// Twins are interchangeable: which of them got which verdict is not compared.
fn told_apart(snapshots: &[Snapshot], verdicts: &BTreeMap<FileId, Verdict>) -> BTreeMap<String, Vec<Verdict>> {
    let mut said: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for Snapshot { id, time, host, paths, tags, .. } in snapshots {
        let verdict = verdicts.get(id).cloned().unwrap_or_default();
        said.entry(format!("{time} {host} {paths:?} {tags:?}")).or_default().push(verdict);
    }
    for verdicts in said.values_mut() {
        verdicts.sort();
    }
    said
}

fn ids(verdicts: &BTreeMap<FileId, Verdict>, twins: &BTreeSet<FileId>, kept: bool) -> Vec<FileId> {
    let of = verdicts.iter().filter(|(id, (_, reasons))| !twins.contains(id) && reasons.is_empty() != kept);
    of.map(|(id, _)| *id).collect()
}

#[test]
fn five_hundred_histories_are_judged_as_restic_does() {
    let repository = Repository::new();
    let (mut judged, mut kept, mut removed) = (0, 0, 0);
    for seed in 0..=ROUNDS {
        let mut chance = Chance(seed);
        let mut nanosecond = 0;
        let files: Vec<Value> =
            (0..HISTORIES).flat_map(|host| history(&mut chance, &format!("host-{host}"), &mut nanosecond)).collect();
        let snapshots = repository.fill(&files);
        let (mut flags, keep) = rules(&mut chance);
        let by = match seed {
            ROUNDS => "",
            _ => {
                ["host", "host,paths", "host", "hosts,tag", "host,paths,tags"][usize::try_from(seed % 5).expect("few")]
            }
        };
        flags.extend(["--group-by".to_owned(), by.to_owned()]);
        let zone = chance.pick(&["UTC", "America/New_York", "Asia/Kolkata"]);
        let about =
            format!("seed {seed} of 0..={ROUNDS}, {HISTORIES} histories, {} snapshots, {flags:?}", snapshots.len());

        let theirs = by_restic(&repository.forget(&flags, zone));
        let scope = Scope::Repository(by.parse::<GroupBy>().expect("a grouping"));
        let ours = by_us(decide(&snapshots, &keep, &scope));

        let mut moments: BTreeMap<_, Vec<FileId>> = BTreeMap::new();
        for snapshot in &snapshots {
            moments.entry(snapshot.time.timestamp()).or_default().push(snapshot.id);
        }
        let twins: BTreeSet<FileId> = moments.into_values().filter(|ids| ids.len() > 1).flatten().collect();
        for stay in [true, false] {
            assert_eq!(ids(&ours, &twins, stay), ids(&theirs, &twins, stay), "left: ours that stay ({stay}); {about}");
        }
        assert_eq!(told_apart(&snapshots, &ours), told_apart(&snapshots, &theirs), "left: ours; {about}");
        judged += if by.is_empty() { 1 } else { HISTORIES };
        kept += ids(&ours, &twins, true).len();
        removed += ids(&ours, &twins, false).len();
    }
    assert!(judged > 500 && kept > 500 && removed > 500, "{judged} histories: {kept} stay, {removed} go");
}

#[test]
fn without_rules_restic_removes_nothing_and_neither_do_we() {
    let repository = Repository::new();
    let snapshots = repository.fill(&history(&mut Chance(7), "host-0", &mut 0));
    assert!(!snapshots.is_empty());
    assert_eq!(repository.forget(&[], "UTC"), "", "restic says nothing");
    let ours = by_us(decide(&snapshots, &Keep::default(), &Scope::Repository(GroupBy::HOST_AND_PATHS)));
    assert!(ours.values().all(|(_, reasons)| reasons == &["policy is empty"]), "{ours:?}");
}
