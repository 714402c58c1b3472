//! Tests of the pure core through its public face; nothing here needs a cluster, a network or a tool.

mod corpus;
mod cron;
mod docs;
mod golden;
mod schema;
mod tidy;
mod world;
