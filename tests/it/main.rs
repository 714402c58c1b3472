//! Tests of the pure core through its public face; nothing here needs a cluster, a network or a tool.

mod corpus;
mod cron;
mod docs;
mod golden;
mod hostile;
mod properties;
mod scenarios;
mod schema;
mod tidy;
mod world;
mod yaml_hostile;
mod yaml_places;
mod yaml_positions;
mod yaml_scalars;
mod yaml_write;
