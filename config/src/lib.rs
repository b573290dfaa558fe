//! Reads and checks the configuration, and the price list.
