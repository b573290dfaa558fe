//! SQL of `audit_logs`.

use sqlx::PgConnection;
use sqlx::types::ipnetwork::IpNetwork;

use super::{Actor, Entry};

pub(super) async fn insert(
    connection: &mut PgConnection,
    actor: &Actor,
    entry: &Entry,
) -> Result<(), database::Error> {
    let metadata = match actor.key {
        Some(key) => serde_json::json!({ "api_key_id": key }),
        None => serde_json::json!({ "command_line": true }),
    };
    let insert = sqlx::query!(
        "INSERT INTO audit_logs
            (organization_id, user_id, action, resource_type, resource_id, old_values, new_values,
             ip_address, user_agent, metadata, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        entry.organization.uuid(),
        actor.user.uuid(),
        entry.action,
        entry.resource_type,
        entry.resource,
        entry.old,
        entry.new,
        actor.origin.address.map(IpNetwork::from),
        actor.origin.user_agent,
        metadata,
        entry.at,
    );
    let done = insert.execute(connection).await?;
    database::ensure_affected(done.rows_affected(), 1)
}
