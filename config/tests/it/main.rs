//! The configuration as an operator meets it: files, environment, messages.

#[cfg(test)]
mod layering;
#[cfg(test)]
mod problems;
#[cfg(test)]
mod providers;
#[cfg(test)]
mod routes;
#[cfg(test)]
mod support;
