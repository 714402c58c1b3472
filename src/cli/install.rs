//! `holdfast crds`, `holdfast catalogue` and `holdfast manifests`: what is installed into a cluster, as YAML.

use std::process::ExitCode;

use anyhow::bail;
use clap::Parser as _;

use super::args::{Cli, ManifestsArgs};
use super::output::print;
use crate::install::catalogue;
use crate::install::crds::crds as shipped;
use crate::install::manifests::{Settings, manifests as objects, to_yaml};

pub(super) fn crds() -> anyhow::Result<ExitCode> {
    let separator = |yaml: &str| if yaml.starts_with("---") { "" } else { "---\n" };
    let documents: Vec<String> = shipped().into_iter().map(|(_, yaml)| format!("{}{yaml}", separator(yaml))).collect();
    print(&documents.concat())
}

pub(super) fn catalogue(image: &str) -> anyhow::Result<ExitCode> {
    print(&to_yaml(&catalogue::objects(image)))
}

pub(super) fn manifests(args: &ManifestsArgs) -> anyhow::Result<ExitCode> {
    let shipped = Settings::new(&args.cluster_name, &args.git_url);
    let chosen =
        |resources: &Option<Vec<(String, String)>>| resources.as_ref().map(|all| all.iter().cloned().collect());
    let settings = Settings {
        namespace: args.install_namespace.clone(),
        image: args.image.clone(),
        git_credentials: args.git_secret.clone(),
        status_credentials: args.status_secret.clone(),
        signing_key: args.signing_secret.clone(),
        flags: args.flags.clone(),
        requests: chosen(&args.requests).unwrap_or(shipped.requests),
        limits: chosen(&args.limits).unwrap_or(shipped.limits),
        cluster_name: shipped.cluster_name,
        git_url: shipped.git_url,
    };
    understood(&settings)?;
    print(&to_yaml(&objects(&settings)))
}

/// What the daemon would refuse at its start is refused here.
fn understood(settings: &Settings) -> anyhow::Result<()> {
    let command = std::iter::once("holdfast".to_owned()).chain(settings.arguments());
    match Cli::try_parse_from(command) {
        Ok(_) => Ok(()),
        Err(error) => bail!("the daemon would not understand its flags: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_that_the_daemon_refuses_are_refused() {
        let said = |flags: &[&str]| {
            let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
            let settings = Settings { flags, ..Settings::new("test", "https://git.example.com/acme/platform") };
            understood(&settings).map_err(|error| error.to_string())
        };
        assert_eq!(said(&["--git-ref=main", "--git-path=a", "--git-path=b", "--read-only"]), Ok(()));
        for (bad, why) in
            [("--git-reff=main", "--git-reff"), ("--git-url=x", "multiple times"), ("--full-pass=0s", "at least 1s")]
        {
            let said = said(&[bad]).unwrap_err();
            assert!(said.contains(why), "{bad}: {said}");
        }
    }
}
