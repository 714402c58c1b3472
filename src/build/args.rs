//! `target.args`: flags of restic in a specification. Those that have a meaning here are followed, any other is refused by name:
//! somebody counts on it.

use super::fault::Fault;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Args {
    pub tags: Vec<String>,
    pub include: Vec<String>,
    pub exclude: Vec<String>,
}

/// They say how restic is to find out what has changed, or what it prints, which is not what it stores.
const WITHOUT_EFFECT: &[&str] = &[
    "--ignore-inode",
    "--ignore-ctime",
    "--no-scan",
    "--quiet",
    "-q",
    "--verbose",
    "-v",
    "--verify",
    "--cleanup-cache",
];

pub fn parse(args: &[String]) -> Result<Args, Fault> {
    let mut parsed = Args::default();
    let mut rest = args.iter().map(String::as_str).filter(|arg| !arg.is_empty());
    while let Some(arg) = rest.next() {
        if WITHOUT_EFFECT.contains(&arg) {
            continue;
        }
        let (flag, value) = arg.split_once('=').map_or((arg, None), |(flag, value)| (flag, Some(value)));
        let list = match flag {
            "--tag" => &mut parsed.tags,
            "--include" | "-i" => &mut parsed.include,
            "--exclude" | "-e" => &mut parsed.exclude,
            other => {
                let message =
                    format!("spec.target.args: {other:?} has no meaning here; known are --tag, --include, --exclude");
                return Err(Fault::new("UnknownArgument", message));
            }
        };
        let Some(value) = value.or_else(|| rest.next()) else {
            return Err(Fault::new("UnknownArgument", format!("spec.target.args: {flag} has no value")));
        };
        if flag == "--tag" {
            list.extend(value.split(',').filter(|tag| !tag.is_empty()).map(str::to_owned));
        } else {
            list.push(value.to_owned());
        }
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Result<Args, Fault> {
        parse(&args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn what_the_guides_give_is_followed() {
        let args = parsed(&["--ignore-inode", "--tag=t1,t2", "--exclude", "*.tmp"]).unwrap();
        assert_eq!((args.tags, args.exclude), (vec!["t1".to_owned(), "t2".to_owned()], vec!["*.tmp".to_owned()]));
    }

    #[test]
    fn what_has_no_meaning_is_refused_by_name() {
        let message = parsed(&["--one-file-system"]).unwrap_err().message;
        assert!(message.contains("\"--one-file-system\" has no meaning"), "{message}");
        assert!(parsed(&["--tag"]).unwrap_err().message.contains("has no value"));
    }
}
