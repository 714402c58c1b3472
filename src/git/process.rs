//! What libgit2 keeps once for the whole process: timeouts, limits, and a home folder that is not the user's.
#![expect(unsafe_code, reason = "libgit2's process-wide options have no safe form")]

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use git2::{ConfigLevel, opts};

use crate::model::tree::FETCH_BYTES_MAX;

/// To reach a server at all.
const CONNECT_TIMEOUT_MS: i32 = 10_000;
/// Between two pieces of an answer: a server may count objects for long before it sends the first byte.
const SILENCE_TIMEOUT_MS: i32 = 30_000;

/// Where libgit2 looks for `.ssh/known_hosts`. Fixed at the first use, as libgit2 reads it without a lock.
static HOME: OnceLock<Result<PathBuf, String>> = OnceLock::new();
/// Lines by host and port, so that sources do not take each other's away.
static KNOWN: Mutex<BTreeMap<(String, u16), String>> = Mutex::new(BTreeMap::new());

/// Sets libgit2 up at the first call; `cache` is a folder that stays.
pub(super) fn prepare(cache: &Path) -> Result<(), String> {
    HOME.get_or_init(|| set_up(cache)).as_ref().map(|_| ()).map_err(Clone::clone)
}

fn set_up(cache: &Path) -> Result<PathBuf, String> {
    let home = std::path::absolute(cache.join("home")).map_err(|error| error.to_string())?;
    let text = home.to_str().and_then(|text| CString::new(text).ok()).ok_or("the cache folder has an odd path")?;
    let limit = usize::try_from(FETCH_BYTES_MAX).map_err(|error| error.to_string())?;
    // SAFETY: the options are globals of libgit2 without a lock. `prepare` runs before anything else here uses
    // libgit2, and `OnceLock` lets one thread through and makes all others wait.
    unsafe {
        opts::set_server_connect_timeout_in_milliseconds(CONNECT_TIMEOUT_MS).map_err(|error| error.to_string())?;
        opts::set_server_timeout_in_milliseconds(SILENCE_TIMEOUT_MS).map_err(|error| error.to_string())?;
        // A tree of ten thousand files would look for each of them; the commit is read back as a whole before it is pushed.
        opts::strict_object_creation(false);
        // A volume may belong to another user id; libgit2 runs no hooks, so nothing of what is there is carried out.
        opts::set_verify_owner_validation(false).map_err(|error| error.to_string())?;
        for level in [ConfigLevel::ProgramData, ConfigLevel::System, ConfigLevel::XDG, ConfigLevel::Global] {
            opts::set_search_path(level, "").map_err(|error| error.to_string())?;
        }
        // SAFETY: the first takes a C string, which libgit2 copies, the second a size.
        let home_set = libgit2_sys::git_libgit2_opts(libgit2_sys::GIT_OPT_SET_HOMEDIR.cast_signed(), text.as_ptr());
        let limit_set =
            libgit2_sys::git_libgit2_opts(libgit2_sys::GIT_OPT_SET_PACK_MAX_OBJECT_SIZE.cast_signed(), limit);
        if home_set < 0 || limit_set < 0 {
            return Err("libgit2 refuses its settings".to_owned());
        }
    }
    Ok(home)
}

/// Tells libssh2 which keys of a host are known: it asks the server for one of these types. Without that a server with
/// several keys shows one that nobody has listed. Whether the key is right is not decided by it.
#[expect(clippy::disallowed_methods, reason = "libssh2 reads known hosts from a file of its home only")]
pub(super) fn suggest_keys(host: &str, port: u16, lines: &str) -> io::Result<()> {
    let Some(Ok(home)) = HOME.get() else { return Ok(()) };
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.insert((host.to_owned(), port), lines.to_owned());
    let folder = home.join(".ssh");
    let content: String = known.values().map(String::as_str).collect();
    if fs::read_to_string(folder.join("known_hosts")).is_ok_and(|old| old == content) {
        return Ok(());
    }
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("new"), content)?;
    fs::rename(folder.join("new"), folder.join("known_hosts"))
}
