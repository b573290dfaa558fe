//! The tenants crate against a database: endpoints in process, keys, first start.

#[cfg(test)]
mod api_keys;
#[cfg(test)]
mod app;
#[cfg(test)]
mod authorization;
#[cfg(test)]
mod bootstrap;
#[cfg(test)]
mod departments;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod organizations;
