//! `docs/permissions.md` lists exactly the vocabulary.

use types::Permission;

const PERMISSIONS: &str = include_str!("../../../docs/permissions.md");

#[test]
fn the_document_lists_every_permission_and_no_other() {
    let rows: Vec<_> = PERMISSIONS
        .lines()
        .filter(|l| l.starts_with("| `"))
        .collect();
    let expected = Permission::ALL.iter().map(|permission| {
        let holder = if permission.is_operator_only() {
            "operator"
        } else {
            "tenants"
        };
        format!("| `{permission}` | {holder} | {} |", permission.meaning())
    });
    assert_eq!(rows, expected.collect::<Vec<_>>());
}
