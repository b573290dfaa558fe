//! The habits every management endpoint shares: problems, pages, ETags, idempotency, permissions, OpenAPI.
