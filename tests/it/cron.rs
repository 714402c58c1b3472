//! The cron dialect against golden vectors from Kubernetes' own library, against a naive oracle, and at its limits.

use std::time::{Duration, Instant};

use holdfast::cron::{self, Schedule};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

const VECTORS: &str = include_str!("../data/cron/vectors.tsv");

/// What robfig takes and Holdfast refuses on purpose, because robfig reads it as something else than it says.
const REFUSED_ON_PURPOSE: [&str; 14] = [
    ",  * * * *",
    "1,,2 * * * *",
    ",1 * * * *",
    "1, * * * *",
    "*-5 * * * *",
    "*-x/2 * * * *",
    "?-? * * * *",
    "TZ= * * * * *",
    "TZ=Local * * * * *",
    "@every -1h",
    "@every 0",
    "@every 0s",
    "@every 500ms",
    "@every -0",
];

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time in RFC 3339")
}

fn parse(text: &str) -> Schedule {
    Schedule::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

fn refused(text: &str) -> cron::Error {
    match Schedule::parse(text) {
        Ok(schedule) => panic!("{text:?} was accepted as {schedule:?}"),
        Err(error) => error,
    }
}

/// The next activations as the vectors write them.
fn activations(schedule: &Schedule, zone: &str, start: Timestamp, count: usize) -> String {
    let mut found = Vec::new();
    let mut t = start;
    while found.len() < count {
        let Some(next) = schedule.next_after(t, zone, "") else {
            break;
        };
        found.push(next.to_string());
        t = next;
    }
    if found.is_empty() {
        return "never".to_owned();
    }
    found.join(" ")
}

/// The rule in its plainest form, to compare with: five tables, and every minute asked.
struct Oracle {
    /// Whether the value is in the list, by field and value.
    tables: [[bool; 60]; 5],
    /// Whether one of the two day fields has a star, so that both must match.
    both_days: bool,
}

impl Oracle {
    fn new(expression: &str) -> Oracle {
        let bounds = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6)];
        let fields: Vec<&str> = expression.split_whitespace().collect();
        let mut tables = [[false; 60]; 5];
        let mut both_days = false;
        for (index, (min, max)) in bounds.into_iter().enumerate() {
            for item in fields[index].split(',') {
                let (values, step) = item.split_once('/').unwrap_or((item, "1"));
                let star = matches!(values, "*" | "?");
                both_days |= star && step == "1" && (index == 2 || index == 4);
                let (first, last) = match values.split_once('-') {
                    Some((first, last)) => (number(first), number(last)),
                    None if star => (min, max),
                    None if item.contains('/') => (number(values), max),
                    None => (number(values), number(values)),
                };
                for value in (first..=last).step_by(number(step)) {
                    tables[index][value] = true;
                }
            }
        }
        Oracle { tables, both_days }
    }

    fn matches(&self, t: Timestamp, zone: &TimeZone) -> bool {
        let wall = zone.to_datetime(t);
        let on = |field: usize, value: i8| self.tables[field][usize::try_from(value).unwrap()];
        let day = on(2, wall.day());
        let weekday = on(4, wall.weekday().to_sunday_zero_offset());
        on(0, wall.minute())
            && on(1, wall.hour())
            && on(3, wall.month())
            && if self.both_days { day && weekday } else { day || weekday }
    }
}

/// A number or the name of a day or a month, as the vectors use them.
fn number(text: &str) -> usize {
    const NAMES: [(&str, usize); 10] = [
        ("SUN", 0),
        ("MON", 1),
        ("FRI", 5),
        ("SAT", 6),
        ("JAN", 1),
        ("FEB", 2),
        ("MAR", 3),
        ("DEC", 12),
        ("TUE", 2),
        ("WED", 3),
    ];
    let named = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    named.map_or_else(|| text.parse().expect(text), |(_, value)| *value)
}

const MINUTE: i64 = 60;

/// All minutes in `(start, start + minutes]` that match.
fn matching_minutes(oracle: &Oracle, zone: &str, start: Timestamp, minutes: i64) -> Vec<Timestamp> {
    let zone = TimeZone::get(zone).unwrap();
    let first = start.as_second().div_euclid(MINUTE) + 1;
    (first..first + minutes)
        .map(|minute| Timestamp::from_second(minute * MINUTE).unwrap())
        .filter(|t| oracle.matches(*t, &zone))
        .collect()
}

/// Where robfig itself does not follow the wall clock: zone, start and how many of the vectors are concerned.
/// A clock change of half an hour shifts its hours until the next day, and a skipped midnight makes it forget to look at the
/// day again.
const ROBFIG_ASTRAY: [(&str, &str, usize); 5] = [
    ("Australia/Lord_Howe", "2026-04-04T00:00:00Z", 20),
    ("Australia/Lord_Howe", "2026-10-03T00:00:00Z", 19),
    ("America/Santiago", "2025-09-06T12:00:00Z", 1),
    ("America/Havana", "2025-03-08T12:00:00Z", 1),
    ("Africa/Cairo", "2025-04-24T12:00:00Z", 1),
];

/// Asserts that the activations in the fifteen days after a start are those of the wall clock.
fn assert_follows_the_wall_clock(schedule: &Schedule, zone: &str, start: Timestamp) {
    const DAYS: i64 = 15;
    let fields = match schedule.expression() {
        "@daily" | "@midnight" => "0 0 * * *",
        "@weekly" => "0 0 * * 0",
        "@monthly" => "0 0 1 * *",
        "@yearly" | "@annually" => "0 0 1 1 *",
        expression => expression,
    };
    let expected = matching_minutes(&Oracle::new(fields), zone, start, DAYS * 24 * 60);
    let mut t = start;
    for minute in expected {
        let next = schedule.next_after(t, zone, "");
        assert_eq!(next, Some(minute), "{schedule} in {zone} after {t}");
        t = minute;
    }
    let end = start + SignedDuration::from_hours(DAYS * 24);
    assert!(schedule.next_after(t, zone, "").is_none_or(|next| next > end), "{schedule} in {zone} after {t}");
}

#[test]
fn agrees_with_robfig_on_every_vector() {
    let (mut rows, mut refusals) = (0, 0);
    let mut astray: Vec<(&str, &str, usize)> = Vec::new();
    for line in VECTORS.lines().filter(|line| !line.starts_with("# ")) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [expression, zone, start, expected] = columns[..] else {
            panic!("four columns: {line}");
        };
        let text = expression.replace("\\t", "\t").replace("\\n", "\n").replace("\\0", "\0");
        rows += 1;
        let on_purpose = REFUSED_ON_PURPOSE.contains(&text.as_str());
        if on_purpose || expected.starts_with("error: ") {
            assert!(!on_purpose || !expected.starts_with("error: "), "robfig refuses {text:?} too");
            let error = refused(&text);
            assert!((1..=text.chars().count() + 1).contains(&error.column), "{text:?}: {error:?}");
            refusals += 1;
            continue;
        }
        let schedule = parse(&text);
        let start_time = at(start);
        if let Some(seconds) = expected.strip_prefix("every ") {
            assert_interval(&schedule, seconds.parse().unwrap(), start_time);
        } else if activations(&schedule, zone, start_time, 5) != expected {
            assert_follows_the_wall_clock(&schedule, zone, start_time);
            match astray.last_mut() {
                Some((last_zone, last_start, count)) if (*last_zone, *last_start) == (zone, start) => *count += 1,
                _ => astray.push((zone, start, 1)),
            }
        }
    }
    assert!(rows > 900 && refusals > 100, "{rows} rows, {refusals} refusals");
    assert_eq!(astray, ROBFIG_ASTRAY);
}

/// Asserts slots at the multiples of a period since the epoch; one of more than five years is never near enough.
fn assert_interval(schedule: &Schedule, seconds: i64, t: Timestamp) {
    let next = (t.as_second() / seconds + 1) * seconds;
    let previous = t.as_second() / seconds * seconds;
    let five_years = 5 * 366 * 24 * 3600;
    let expected =
        |slot: i64| ((slot - t.as_second()).abs() <= five_years).then(|| Timestamp::from_second(slot).unwrap());
    assert_eq!(schedule.next_after(t, "no/zone", "key"), expected(next), "{schedule}");
    assert_eq!(schedule.previous_at_or_before(t, "no/zone", "key"), expected(previous), "{schedule}");
}

#[test]
fn refuses_with_column_and_advice() {
    for (text, column, advice) in [
        ("", 1, "empty: write five fields"),
        ("   ", 4, "empty: write five fields"),
        ("0 3 * *", 8, "4 of five fields: write minute, hour"),
        ("0 0 3 * * *", 11, "6 fields are too many"),
        ("TZ=UTC 0 0 3 * * *", 18, "without seconds and year"),
        ("0 3 * * 7", 9, "7 is no weekday: write 0 or SUN"),
        ("0 3 * * 1,3-7", 13, "write 0 or SUN"),
        ("0 3 * * 8", 9, "\"8\" is no weekday: write 0-6 or SUN-SAT"),
        ("0 3 L * *", 5, "\"L\" is not in Kubernetes' dialect: list each day of the month by number, 1-31"),
        ("0 3 15W * *", 5, "\"15W\" is not in Kubernetes' dialect"),
        ("0 3 * * 5#2", 9, "\"5#2\" is not in Kubernetes' dialect"),
        ("H 3 * * *", 1, "\"H\" is not in Kubernetes' dialect: write a minute, 0-59, or @daily"),
        ("5-1 * * * *", 1, "backwards: write 5-59,0-1"),
        ("0 3 * * FRI-SUN", 9, "backwards: write 5-6,0-0"),
        ("0 3,22-4 * * *", 5, "backwards: write 22-23,0-4"),
        ("*/0 * * * *", 3, "\"0\" is no step: write a whole number from 1"),
        ("*/ * * * *", 3, "\"\" is no step"),
        ("*/2/3 * * * *", 3, "only one step"),
        ("1,,2 * * * *", 3, "the minute is missing here: write 0-59"),
        ("1, * * * *", 3, "the minute is missing here"),
        ("0 -5 * * *", 3, "the hour is missing here"),
        ("1-2-3 * * * *", 3, "a range has two ends"),
        ("*-5 * * * *", 1, "* already means every minute"),
        ("60 * * * *", 1, "\"60\" is no minute: write 0-59"),
        ("0 24 * * *", 3, "\"24\" is no hour: write 0-23"),
        ("0 0 * 13 *", 7, "\"13\" is no month: write 1-12 or JAN-DEC"),
        ("0 3 * * 1;", 9, "\"1;\" is no weekday"),
        ("ä ö * * *", 1, "\"ä\" is no minute"),
        ("1,ä,ö * * * *", 3, "\"ä\" is no minute"),
        ("1\0 * * * *", 1, "\"1\\0\" is no minute"),
        ("@Daily", 1, "write @daily, in lower case"),
        ("@daily ", 1, "no blank behind"),
        (" @daily", 2, "must stand at the very start"),
        ("0 3 * * * TZ=UTC", 11, "6 fields are too many"),
        (" TZ=UTC 0 3 * * *", 2, "must stand at the very start"),
        ("@reboot", 1, "write one of @hourly, @daily, @midnight"),
        ("@every", 1, "write @every, one blank and a duration"),
        ("@every1h", 1, "write @every, one blank and a duration"),
        ("@every 1d", 8, "\"1d\" is no duration: write numbers with units h, m or s"),
        ("@every 1h5x", 10, "is no duration"),
        ("TZ=UTC @every 500ms", 15, "shorter than a second: write at least 1s"),
        ("@every 9999999h", 8, "too long: write at most 2562047h"),
        ("TZ=Europe/Atlantis 0 3 * * *", 4, "\"Europe/Atlantis\" is no time zone"),
        ("CRON_TZ=europe/berlin 0 3 * * *", 9, "in its exact case"),
        ("TZ=UTC", 7, "write a blank and a schedule after the zone"),
        ("TZ=UTC  61 * * * *", 9, "\"61\" is no minute"),
    ] {
        let error = refused(text);
        assert!(error.message.contains(advice), "{text:?}: {error}");
        assert_eq!(error.column, column, "{text:?}: {error}");
        assert_eq!(error.to_string(), error.message);
        assert!(!error.message.contains(['\n', '\0']), "{text:?}: {error:?}");
    }
}

#[test]
fn refuses_hostile_text_fast_and_briefly() {
    let mebibyte = 1024 * 1024;
    for text in [
        "1,".repeat(mebibyte / 2),
        " ".repeat(mebibyte),
        "\0".repeat(mebibyte),
        "ß".repeat(mebibyte / 2),
        format!("@every {}h", "9".repeat(mebibyte)),
        format!("TZ={} 0 3 * * *", "../".repeat(mebibyte / 3)),
        format!("{} * * * *", "9".repeat(240)),
        format!("{}é * * * *", "5-".repeat(120)),
        format!("@every {}", "9".repeat(200)),
        format!("@every {}x", "1h.9".repeat(60)),
        format!("TZ={} *", "../".repeat(80)),
    ] {
        let begin = Instant::now();
        let error = refused(&text);
        assert!(begin.elapsed() < Duration::from_millis(500), "{:?}", begin.elapsed());
        assert!(error.message.chars().count() < 200 && !error.message.contains('\0'), "{}", error.message);
        assert!(error.column <= 257);
    }
    let longest = format!("{:>256}", "0 3 * * *");
    assert_eq!(parse(&longest).expression(), "0 3 * * *");
    let error = refused(&format!("{longest} "));
    assert_eq!((error.column, error.message.as_str()), (257, "the schedule is too long: write at most 256 characters"));
}

#[test]
fn tells_zone_expression_and_text() {
    for (text, zone, expression) in [
        ("0 3 * * *", None, "0 3 * * *"),
        (" 0  3 * * * ", None, "0  3 * * *"),
        ("TZ=Asia/Tokyo  0 3 * * * ", Some("Asia/Tokyo"), "0 3 * * *"),
        ("CRON_TZ=Etc/UTC @daily", Some("Etc/UTC"), "@daily"),
        ("TZ=UTC @every 1h", Some("UTC"), "@every 1h"),
    ] {
        let schedule = parse(text);
        assert_eq!((schedule.zone(), schedule.expression()), (zone, expression));
        assert_eq!(schedule.to_string(), text);
        assert_eq!(parse(&schedule.to_string()), schedule);
    }
    assert_ne!(parse("0 3 * * *"), parse("00 3 * * *"));
}

#[test]
fn knows_zones_by_their_exact_names() {
    for name in [
        "UTC",
        "Etc/UTC",
        "Europe/Berlin",
        "Asia/Kathmandu",
        "Asia/Katmandu",
        "America/Argentina/ComodRivadavia",
        "Etc/GMT+5",
        "EST",
    ] {
        assert!(cron::zone_exists(name), "{name}");
    }
    for name in [
        "",
        "Local",
        "utc",
        "europe/berlin",
        "Europe/Atlantis",
        "Etc/Unknown",
        "CEST-2",
        "+02:00",
        "../UTC",
        "/etc/localtime",
        "Europe/Berlin ",
        "UTC\0",
    ] {
        assert!(!cron::zone_exists(name), "{name:?}");
    }
    let schedule = parse("0 3 * * *");
    assert_eq!(schedule.next_after(at("2026-01-01T00:00:00Z"), "Europe/Atlantis", ""), None);
    assert_eq!(schedule.previous_at_or_before(at("2026-01-01T00:00:00Z"), "Europe/Atlantis", ""), None);
}

#[test]
fn skips_the_gap_and_repeats_the_overlap() {
    let schedule = parse("TZ=Europe/Berlin 30 2 * * *");
    let next = |t: &str| schedule.next_after(at(t), "UTC", "").unwrap().to_string();
    let previous = |t: &str| schedule.previous_at_or_before(at(t), "UTC", "").unwrap().to_string();
    assert_eq!(next("2026-03-28T01:30:00Z"), "2026-03-30T00:30:00Z");
    assert_eq!(previous("2026-03-30T00:29:59Z"), "2026-03-28T01:30:00Z");
    assert_eq!(next("2026-10-25T00:00:00Z"), "2026-10-25T00:30:00Z");
    assert_eq!(next("2026-10-25T00:30:00Z"), "2026-10-25T01:30:00Z");
    assert_eq!(next("2026-10-25T01:30:00Z"), "2026-10-26T01:30:00Z");
    assert_eq!(previous("2026-10-25T01:30:00Z"), "2026-10-25T01:30:00Z");
    assert_eq!(previous("2026-10-25T01:29:59Z"), "2026-10-25T00:30:00Z");
}

#[test]
fn counts_strictly_after_and_at_or_before_to_the_nanosecond() {
    let slot = at("2026-05-05T03:00:00Z");
    let moment = SignedDuration::from_nanos(1);
    for text in ["0 3 * * *", "@every 1h"] {
        let schedule = parse(text);
        let next = |t: Timestamp| schedule.next_after(t, "UTC", "").unwrap();
        let previous = |t: Timestamp| schedule.previous_at_or_before(t, "UTC", "").unwrap();
        assert_eq!(next(slot - moment), slot);
        assert!(next(slot) > slot);
        assert_eq!(next(slot + moment), next(slot));
        assert_eq!(previous(slot), slot);
        assert_eq!(previous(slot + moment), slot);
        assert!(previous(slot - moment) < slot);
        assert_eq!(next(previous(slot - moment)), slot);
    }
}

#[test]
fn gives_up_fast_and_ends_at_the_limits() {
    let now = at("2026-02-01T00:00:00Z");
    let begin = Instant::now();
    for text in ["0 0 31 2 *", "59 23 31 4,6,9,11 *", "TZ=Europe/Berlin 0 0 30 2 *"] {
        let schedule = parse(text);
        for _ in 0..100 {
            assert_eq!(schedule.next_after(now, "America/New_York", "key"), None);
            assert_eq!(schedule.previous_at_or_before(now, "America/New_York", "key"), None);
        }
    }
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());

    let leap_day = parse("0 0 29 2 *");
    let next = |t: &str| leap_day.next_after(at(t), "UTC", "").map(|t| t.to_string());
    assert_eq!(next("2026-02-01T00:00:00Z").as_deref(), Some("2028-02-29T00:00:00Z"));
    assert_eq!(next("2092-02-29T00:00:00Z").as_deref(), Some("2096-02-29T00:00:00Z"));
    assert_eq!(next("2096-02-29T00:00:00Z"), None);
    let previous = |t: &str| leap_day.previous_at_or_before(at(t), "UTC", "").map(|t| t.to_string());
    assert_eq!(previous("2033-12-31T00:00:00Z").as_deref(), Some("2032-02-29T00:00:00Z"));
    assert_eq!(previous("1972-02-28T00:00:00Z"), None);
    assert_eq!(previous("-003000-01-01T00:00:00Z"), None);
    assert_eq!(next("-003000-01-01T00:00:00Z"), None);
    assert_eq!(previous("2103-01-01T00:00:00Z"), None);

    for schedule in [parse("* * * * *"), parse("@every 1s"), parse("@every 1h"), parse("@daily")] {
        for t in [Timestamp::MIN, Timestamp::MAX, Timestamp::UNIX_EPOCH, at("2100-12-31T23:59:59Z")] {
            for zone in ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"] {
                assert!(schedule.next_after(t, zone, "key").is_none_or(|next| next > t));
                assert!(schedule.previous_at_or_before(t, zone, "key").is_none_or(|previous| previous <= t));
            }
        }
    }
}

#[test]
fn spreads_four_nicknames_by_a_hash_that_never_changes() {
    // Computed apart from this program: the first eight bytes of SHA-256, big-endian, modulo 60 and 1,440.
    for (key, minute_of_hour, hour, minute) in
        [("a", 10, 16, 10), ("4a1f6d2e-0c1b-4b53-9a53-5a2a8d3c7f10", 5, 3, 5), ("ünïcode", 14, 15, 14)]
    {
        for (text, expression) in [
            ("@hourly", format!("{minute_of_hour} * * * *")),
            ("@daily", format!("{minute} {hour} * * *")),
            ("@weekly", format!("{minute} {hour} * * 0")),
            ("@monthly", format!("{minute} {hour} 1 * *")),
            ("@midnight", "@midnight".to_owned()),
            ("@yearly", "@yearly".to_owned()),
            ("@annually", "@annually".to_owned()),
            ("@every 90m", "@every 90m".to_owned()),
            ("7 3 * * MON", "7 3 * * MON".to_owned()),
        ] {
            let schedule = parse(text);
            assert_eq!(schedule.spread_expression(key), expression);
            assert_eq!(schedule.spread_expression(""), text);
            let start = at("2026-03-28T12:34:56Z");
            let (zone, plain) = ("Europe/Berlin", parse(&expression));
            assert_eq!(schedule.next_after(start, zone, key), plain.next_after(start, zone, ""));
            assert_eq!(schedule.previous_at_or_before(start, zone, key), plain.previous_at_or_before(start, zone, ""));
        }
    }
}

#[test]
fn spreads_evenly_over_every_minute_of_the_day() {
    const KEYS: u32 = 28_800;
    let daily = parse("@daily");
    let mut keys_by_minute = [0_u32; 1440];
    for key in 0..KEYS {
        let expression = daily.spread_expression(&format!("00000000-0000-4000-8000-{key:012x}"));
        let fields: Vec<usize> = expression.split(' ').take(2).map(|field| field.parse().unwrap()).collect();
        keys_by_minute[fields[1] * 60 + fields[0]] += 1;
    }
    assert!(keys_by_minute.iter().all(|keys| *keys > 0), "a minute is never reached");
    let expected = f64::from(KEYS) / 1440.0;
    let chi_squared: f64 = keys_by_minute.iter().map(|keys| (f64::from(*keys) - expected).powi(2) / expected).sum();
    // 1,439 degrees of freedom: mean 1,439, deviation 53.6; five deviations to either side.
    assert!((1171.0..1707.0).contains(&chi_squared), "{chi_squared}");
}

/// One item of a list within bounds; days stop at 28 and hours are dense, so that most schedules come soon.
fn item(min: u32, max: u32) -> impl Strategy<Value = String> {
    prop_oneof![
        3 => Just("*".to_owned()),
        1 => Just("?".to_owned()),
        2 => (1..=max).prop_map(|step| format!("*/{step}")),
        3 => (min..=max).prop_map(|value| value.to_string()),
        2 => (min..=max, 1..=max).prop_map(|(value, step)| format!("{value}/{step}")),
        2 => (min..=max, min..=max).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
        1 => (min..=max, min..=max, 1..=max).prop_map(|(a, b, step)| format!("{}-{}/{step}", a.min(b), a.max(b))),
    ]
}

fn list(min: u32, max: u32) -> impl Strategy<Value = String> {
    proptest::collection::vec(item(min, max), 1..=2).prop_map(|items| items.join(","))
}

fn five_fields() -> impl Strategy<Value = String> {
    (list(0, 59), list(0, 23), list(1, 31), list(1, 12), list(0, 6))
        .prop_map(|(minute, hour, day, month, weekday)| format!("{minute} {hour} {day} {month} {weekday}"))
}

/// Asserts equality with the oracle on both sides of a time, for at most a few activations each.
fn assert_agrees_with_oracle(expression: &str, zone: &str, t: Timestamp, minutes: i64) {
    const ACTIVATIONS: usize = 20;
    let schedule = parse(expression);
    let oracle = Oracle::new(expression);
    let span = SignedDuration::from_mins(minutes);
    let mut from = t;
    for expected in matching_minutes(&oracle, zone, t, minutes).into_iter().take(ACTIVATIONS) {
        assert_eq!(schedule.next_after(from, zone, ""), Some(expected), "{expression} in {zone} after {from}");
        from = expected;
    }
    if from == t {
        assert!(
            schedule.next_after(t, zone, "").is_none_or(|next| next > t + span),
            "{expression} in {zone} after {t}"
        );
    }
    let mut until = t;
    for expected in matching_minutes(&oracle, zone, t - span, minutes).into_iter().rev().take(ACTIVATIONS) {
        assert_eq!(
            schedule.previous_at_or_before(until, zone, ""),
            Some(expected),
            "{expression} in {zone} until {until}"
        );
        until = expected - SignedDuration::from_nanos(1);
    }
    if until == t {
        let none_near = schedule.previous_at_or_before(t, zone, "").is_none_or(|previous| previous <= t - span);
        assert!(none_near, "{expression} in {zone} until {t}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_a_naive_oracle_in_utc(expression in five_fields(), second in 1_700_000_000_i64..2_100_000_000) {
        assert_agrees_with_oracle(&expression, "UTC", Timestamp::from_second(second).unwrap(), 15 * 24 * 60);
    }

    #[test]
    fn agrees_with_a_naive_oracle_around_clock_changes(
        fields in (list(0, 59), list(0, 23)),
        days in prop_oneof![Just("* * *"), Just("* * 0,1"), Just("*/2 * 6")],
        zone in prop_oneof![
            Just("Europe/Berlin"), Just("America/New_York"), Just("America/Santiago"), Just("Africa/Cairo"),
            Just("Australia/Lord_Howe"), Just("Antarctica/Troll"),
        ],
        second in 1_700_000_000_i64..1_900_000_000,
        minutes_before in -60_i64..2_880,
    ) {
        let some_day = Timestamp::from_second(second).unwrap();
        let change = TimeZone::get(zone).unwrap().following(some_day).next().map(|change| change.timestamp());
        let t = change.expect("every zone here changes its clock") - SignedDuration::from_mins(minutes_before);
        assert_agrees_with_oracle(&format!("{} {} {days}", fields.0, fields.1), zone, t, 3 * 24 * 60);
    }

    #[test]
    fn never_panics_and_points_into_the_text(text in prop_oneof![
        "\\PC{0,40}",
        "[0-9*?,/LW#@A-Z \\-]{0,30}",
        "(TZ=|CRON_TZ=)?[A-Za-z/]{0,12} [0-9*,/ \\-]{0,20}",
        "@every [+-]?[0-9.]{0,25}(h|m|s|ms|µs)?[0-9hms.]{0,10}",
    ]) {
        match Schedule::parse(&text) {
            Ok(schedule) => {
                prop_assert_eq!(schedule.to_string(), text);
                let t = at("2026-10-25T00:30:00Z");
                prop_assert!(schedule.next_after(t, "Europe/Berlin", "key").is_none_or(|next| next > t));
            }
            Err(error) => prop_assert!((1..=text.chars().count() + 1).contains(&error.column), "{error:?}"),
        }
    }
}
