//! `holdfast crds` and `holdfast manifests`: what is installed into a cluster, as YAML.

use std::process::ExitCode;

use super::args::ManifestsArgs;
use crate::install::crds::crds as shipped;
use crate::install::manifests::{Settings, manifests as objects, to_yaml};

pub(super) fn crds() -> ExitCode {
    for (_, yaml) in shipped() {
        let separator = if yaml.starts_with("---") { "" } else { "---\n" };
        print!("{separator}{yaml}");
    }
    ExitCode::SUCCESS
}

pub(super) fn manifests(args: &ManifestsArgs) -> ExitCode {
    let settings = Settings {
        namespace: args.install_namespace.clone(),
        image: args.image.clone(),
        cluster_name: args.cluster_name.clone(),
        git_url: args.git_url.clone(),
        git_credentials: args.git_secret.clone(),
    };
    print!("{}", to_yaml(&objects(&settings)));
    ExitCode::SUCCESS
}
