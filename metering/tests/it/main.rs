//! The metering crate against a database: the books, the leases, the reports.

#[cfg(test)]
mod billing;
#[cfg(test)]
mod books;
#[cfg(test)]
mod budgets;
#[cfg(test)]
mod endpoints;
#[cfg(test)]
mod idempotency;
#[cfg(test)]
mod lease_model;
#[cfg(test)]
mod leases;
#[cfg(test)]
mod month;
#[cfg(test)]
mod node;
#[cfg(test)]
mod periods;
#[cfg(test)]
mod prices;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod reports;
#[cfg(test)]
mod rollups;
#[cfg(test)]
mod shipping;
