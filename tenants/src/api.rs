//! The endpoints of organizations, departments and keys: one file each.

pub mod api_keys;
pub mod departments;
pub mod organizations;

use ::api::Operations;
use serde::Deserialize;
use types::{Id, Permission, id};
use utoipa::IntoParams;
use utoipa_axum::routes;

use crate::Tenants;

/// Every operation with its permission.
pub fn operations(tenants: Tenants) -> Operations<Tenants> {
    use {api_keys as keys, departments, organizations};
    Operations::new(tenants)
        .add(
            Permission::ApiKeysWrite,
            routes!(keys::create::create_api_key),
        )
        .add(Permission::ApiKeysRead, routes!(keys::list::list_api_keys))
        .add(
            Permission::ApiKeysWrite,
            routes!(keys::rotate::rotate_api_key),
        )
        .add(
            Permission::ApiKeysWrite,
            routes!(keys::revoke::revoke_api_key),
        )
        .add(
            Permission::OrganizationsCreate,
            routes!(organizations::create::create_organization),
        )
        .add(
            Permission::OrganizationsRead,
            routes!(organizations::list::list_organizations),
        )
        .add(
            Permission::DepartmentsWrite,
            routes!(departments::create::create_department),
        )
        .add(
            Permission::DepartmentsRead,
            routes!(departments::list::list_departments),
        )
}

/// For whom the operator acts.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ActingFor {
    /// For the operator: whose thing it is. Others leave it out; it is their own organization.
    #[param(value_type = Option<Uuid>)]
    pub organization_id: Option<Id<id::Organization>>,
}
