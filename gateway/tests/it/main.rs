//! What the gateway promises, asked of the real program: a second process, a real PostgreSQL, a provider with books.

#[cfg(test)]
mod authorization;
#[cfg(test)]
mod budgets;
#[cfg(test)]
mod configuration;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod dialects;
#[cfg(test)]
mod embeddings;
#[cfg(test)]
mod errors;
#[cfg(test)]
mod first_minute;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod main_job;
#[cfg(test)]
mod once;
#[cfg(test)]
mod outage;
#[cfg(test)]
mod own_routes;
#[cfg(test)]
mod pass_through;
#[cfg(test)]
mod privacy;
#[cfg(test)]
mod providers;
#[cfg(test)]
mod quota;
#[cfg(test)]
mod routing;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod templates;
#[cfg(test)]
mod tenancy;
