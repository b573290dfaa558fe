//! Workflows, executions, connectors, documents, notifications and alerts.
