//! `holdfast plan`: the same plan as the daemon's, printed.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use anyhow::bail;

use super::args::{Connection, PlanArgs, PlanOutput};
use super::connection::{connect, runtime};
use super::excerpt::Excerpts;
use super::inputs;
use super::output::print;
use super::source::{folder, source};
use crate::clock;
use crate::git::Source;
use crate::model::desired::Desired;
use crate::model::observed::Observed;
use crate::model::tree::Tree;
use crate::plan;
use crate::plan::render::{self, Palette};

pub(super) fn run(args: &PlanArgs, connection: &Connection) -> anyhow::Result<ExitCode> {
    let tree = tree(args)?;
    let observed = match &args.cluster {
        Some(file) => inputs::cluster(file)?,
        None => live(connection)?,
    };
    let desired = Desired::parse(&tree)?;
    let now = args.now.unwrap_or_else(clock::now);
    let plan = plan::plan(&desired, &observed, &args.planning.settings(), now);
    let palette = if std::io::stdout().is_terminal() { Palette::Colour } else { Palette::Plain };
    let name = args.planning.cluster_name.as_deref();
    let text = match args.output {
        PlanOutput::Json => render::json(&plan, name),
        PlanOutput::Yaml => render::yaml(&plan, name),
        PlanOutput::Summary => render::summary(&plan, palette),
        PlanOutput::Diff => {
            let excerpts = Excerpts::of(&tree);
            render::diff(&plan, palette, &|place| excerpts.show(place))
        }
    };
    print(&text)?;
    let changes = args.exit_code && !plan.steps.is_empty();
    Ok(if changes { ExitCode::from(2) } else { ExitCode::SUCCESS })
}

fn tree(args: &PlanArgs) -> anyhow::Result<Tree> {
    if let Some(path) = &args.tree {
        return folder(path, &args.source.git_paths);
    }
    let Some(settings) = source(&args.source)? else {
        bail!("say where the documents are: --tree DIR, or --git-url URL");
    };
    // Dropped, and so removed, when the tree is read.
    let cache = tempfile::tempdir()?;
    let mut source = Source::open(settings, cache.path())?;
    Ok(source.read()?)
}

fn live(connection: &Connection) -> anyhow::Result<Observed> {
    runtime()?.block_on(async {
        let handles = connect(connection).await?;
        Ok(crate::cluster::observe::observe(&handles).await?)
    })
}
