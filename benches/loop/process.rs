//! What the kernel says of a process: memory and time on the processor.

use std::fs;

/// The kernel counts time in hundredths of a second, on every architecture that it runs on.
const TICKS_PER_SECOND: f64 = 100.0;

pub(crate) struct Memory {
    pub(crate) now_bytes: u64,
    pub(crate) peak_bytes: u64,
}

pub(crate) fn memory(pid: u32) -> Memory {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel has it");
        let number = line.trim().trim_end_matches(" kB").trim().parse::<u64>().expect("a number of kB");
        number * 1024
    };
    Memory { now_bytes: bytes("VmRSS:"), peak_bytes: bytes("VmHWM:") }
}

/// Seconds on any core since the process began, its own and the kernel's for it.
pub(crate) fn cpu_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process runs");
    // The name before stands in parentheses and may hold spaces.
    let (_, rest) = stat.rsplit_once(')').expect("a name in parentheses");
    let ticks = rest.split_whitespace().skip(11).take(2).map(|field| field.parse::<f64>().expect("a number"));
    ticks.sum::<f64>() / TICKS_PER_SECOND
}

/// Seconds that this thread has been on a core: others who want it too do not count.
pub(crate) fn thread_seconds() -> f64 {
    let told = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux has it");
    let nanoseconds: u64 = told.split(' ').next().and_then(|field| field.parse().ok()).expect("a number comes first");
    crate::table::to_f64(nanoseconds) / 1e9
}
