//! What unknot costs, beside its peers: what the benchmarks of this package share.

pub mod peers;
pub mod report;
pub mod subject;
