//! Test level 0: what a text check can hold the repository to. Layers, bans, budgets, dependencies, and files that must agree.

mod bans;
mod budgets;
mod code;
mod dependencies;
mod layers;
mod matches;
mod repository;

use std::collections::BTreeSet;

use repository::Complaints;

#[test]
fn tidy_every_crate_path_leads_to_a_lower_layer() {
    let table = layers::Table::read();
    let mut complaints = Complaints::default();
    for file in repository::sources() {
        layers::check(&table, &file, &mut complaints);
    }
    complaints.assert_none("a module imports only from lower layers (ARCHITECTURE.md)");
}

#[test]
fn tidy_architecture_names_every_module_and_no_other() {
    assert_eq!(layers::Table::read().modules(), layers::modules_of_lib(), "left: ARCHITECTURE.md, right: src/lib.rs");
}

#[test]
fn tidy_pure_layers_do_no_effects() {
    let table = layers::Table::read();
    let mut complaints = Complaints::default();
    for file in repository::sources().filter(|file| table.is_pure(&file.module())) {
        bans::check_pure(&file, &mut complaints);
    }
    complaints.assert_none("pure means: no I/O, clock, randomness, async, logging or hash-map order");
}

#[test]
fn tidy_each_foreign_crate_stays_behind_its_module() {
    let mut complaints = Complaints::default();
    for file in repository::sources() {
        bans::check_confined(&file, &mut complaints);
    }
    complaints.assert_none("ask the module that hides the crate");
}

#[test]
fn tidy_nothing_unfinished_and_nothing_printed_for_debugging() {
    let mut complaints = Complaints::default();
    for file in repository::sources().chain(repository::tests()) {
        bans::check_everywhere(&file, &mut complaints);
    }
    complaints.assert_none("finish it, or open an issue that says what is missing");
}

#[test]
fn tidy_only_apply_and_the_simulator_settle_plans() {
    let mut complaints = Complaints::default();
    for file in repository::sources().chain(repository::tests()) {
        bans::check_settle(&file, &mut complaints);
    }
    complaints.assert_none("`Applied` speaks of steps that were tried, so only who tries them may make it");
}

#[test]
fn tidy_every_file_says_what_it_is() {
    let mut complaints = Complaints::default();
    for file in repository::sources().chain(repository::tests()) {
        if !file.text.starts_with("//!") {
            complaints.add(&file.path, 1, "starts without `//!`");
        }
    }
    complaints.assert_none("one or two sentences at the head of each file");
}

#[test]
fn tidy_files_and_functions_stay_small() {
    let mut complaints = Complaints::default();
    for file in repository::sources().chain(repository::tests()) {
        budgets::check(&file, &mut complaints);
    }
    budgets::check_median(repository::sources(), &mut complaints);
    complaints.assert_none("split it by subject");
}

#[test]
fn tidy_matches_on_own_enums_name_every_variant() {
    let own = matches::own_enums();
    assert!(own.contains("RefusalCode") && own.contains("Action"), "{own:?}");
    let mut complaints = Complaints::default();
    for file in repository::sources() {
        matches::check(&own, &file, &mut complaints);
    }
    complaints.assert_none("a new variant must be a compile error where it matters");
}

#[test]
fn tidy_no_file_names_a_package_registry() {
    let mut complaints = Complaints::default();
    for file in repository::all() {
        bans::check_hosts(&file, &mut complaints);
    }
    complaints.assert_none("where packages come from is a matter of the machine that builds");
}

#[test]
fn tidy_dependencies_come_from_the_registry_and_none_is_banned() {
    let mut complaints = Complaints::default();
    dependencies::check(&repository::read("Cargo.lock"), &mut complaints);
    complaints.assert_none("see deny.toml for the reasons");
}

#[test]
fn tidy_shipped_definitions_are_the_files_in_crds() {
    let sorted = |texts: Vec<String>| texts.into_iter().collect::<BTreeSet<_>>();
    let files = repository::all().filter(|file| file.path.starts_with("src/install/crds/")).map(|file| file.text);
    let files = sorted(files.collect());
    let printed = sorted(holdfast::install::crds::crds().into_iter().map(|(_, yaml)| yaml.to_owned()).collect());
    let judged = sorted(holdfast::schema::all().map(|crd| crd.yaml.to_owned()).collect());
    assert!(
        !files.is_empty() && files == printed,
        "`holdfast crds` prints other definitions than src/install/crds holds"
    );
    assert!(!judged.is_empty() && judged.is_subset(&files), "src/schema judges by a definition that is not shipped");
}
