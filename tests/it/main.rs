//! Tests of the pure core through its public face; nothing here needs a cluster, a network or a tool.

#![expect(clippy::disallowed_methods, reason = "tests read the repository, take times and know the environment")]
#![expect(clippy::format_push_string, clippy::format_collect, reason = "documents are put together as text")]

mod catalogue;
mod chart;
mod corpus;
mod cron;
mod docs;
mod examples;
mod golden;
mod hostile;
mod json_schema;
mod monitoring;
mod mutants;
mod policies;
mod policy_hostile;
mod properties;
mod random_expressions;
mod report_input;
mod runs;
mod scenarios;
mod schema;
mod tidy;
mod world;
mod yaml_hostile;
mod yaml_places;
mod yaml_positions;
mod yaml_scalars;
mod yaml_write;
