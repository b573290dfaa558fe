//! Providers from the environment, from presets, and with keys in files.

use config::section::ProviderKind;

use crate::support::{file, load_with, problems};

#[test]
fn a_key_in_the_environment_brings_its_provider_and_the_default_model() {
    let config = load_with("", &[("GOOGLE_API_KEY", "g"), ("OPENAI_API_KEY", "o")]).unwrap();
    let gemini = &config.providers["gemini"];
    assert_eq!(gemini.kind, ProviderKind::Gemini);
    assert_eq!(gemini.base_url, "https://generativelanguage.googleapis.com");
    assert_eq!(gemini.api_key.as_ref().unwrap().expose(), "g");
    assert!(gemini.models.is_empty());
    assert_eq!(config.providers["openai"].price_provider, "openai");
    assert_eq!(
        config.models.aliases["default"].to_string(),
        "gemini/gemini-2.5-flash"
    );
}

#[test]
fn a_compatible_provider_and_a_local_one_need_no_code() {
    let variables = [
        ("OPENAI_API_KEY", "o"),
        ("OPENAI_BASE_URL", "http://127.0.0.1:9090/v1/"),
        ("GROQ_API_KEY", "q"),
        ("OLLAMA_HOST", "box"),
    ];
    let config = load_with("", &variables).unwrap();
    assert_eq!(
        config.providers["openai"].base_url,
        "http://127.0.0.1:9090/v1"
    );
    assert_eq!(config.providers["groq"].kind, ProviderKind::Openai);
    assert_eq!(config.providers["groq"].price_provider, "groq");
    assert_eq!(config.providers["ollama"].base_url, "http://box:11434/v1");
    assert_eq!(config.providers["ollama"].api_key, None);
}

#[test]
fn a_provider_of_ones_own_takes_address_and_prices_of_its_kind() {
    let text = "[providers.my-gemini]\nkind = \"gemini\"\nfirst_byte_timeout_ms = 5\n";
    let variables = [("FLOWPILOT__PROVIDERS__MY_GEMINI__API_KEY", "k")];
    let config = load_with(text, &variables).unwrap();
    let provider = &config.providers["my-gemini"];
    assert_eq!(provider.price_provider, "gemini");
    assert_eq!(provider.first_byte_timeout.as_millis(), 5);
    assert_eq!(
        provider.chunk_timeout,
        config.providers["demo"].chunk_timeout
    );
    assert_eq!(
        config.models.aliases["default"].to_string(),
        "my-gemini/gemini-2.5-flash"
    );
}

#[test]
fn a_key_in_a_file_is_read_without_its_line_end() {
    let key = file("sk-in-a-file\n");
    let text = format!("[providers.openai]\napi_key_file = {:?}\n", key.path());
    let config = load_with(&text, &[("OPENAI_API_KEY", "ambient")]).unwrap();
    assert_eq!(
        config.providers["openai"]
            .api_key
            .as_ref()
            .unwrap()
            .expose(),
        "sk-in-a-file"
    );
    assert!(config.files.contains(&key.path().to_owned()));
}

#[test]
fn a_key_and_its_file_exclude_each_other_unless_one_overrides_the_other() {
    let both = "[providers.openai]\napi_key = \"a\"\napi_key_file = \"/nowhere\"\n";
    assert_eq!(problems(both, &[])[0].0, "providers.openai.api_key_file");

    let in_file = "[providers.openai]\napi_key_file = \"/nowhere\"\n";
    let variables = [("FLOWPILOT__PROVIDERS__OPENAI__API_KEY", "b")];
    let config = load_with(in_file, &variables).unwrap();
    assert_eq!(
        config.providers["openai"]
            .api_key
            .as_ref()
            .unwrap()
            .expose(),
        "b"
    );
}

#[test]
fn a_key_of_a_provider_that_is_not_spoken_to_is_a_warning() {
    let config = load_with("", &[("AZURE_OPENAI_API_KEY", "a")]).unwrap();
    assert_eq!(config.providers.len(), 1);
    assert!(
        config.warnings[0]
            .message
            .starts_with("AZURE_OPENAI_API_KEY")
    );
}

#[test]
fn a_cloud_that_sells_anothers_models_is_priced_like_it_and_wants_its_own_credential() {
    let text = "[providers.a]\nkind = \"azure\"\nbase_url = \"https://a.example\"\napi_key = \"k\"\n[providers.v]\nkind = \"vertex\"\nbase_url = \"https://v.example\"\n";
    let found = problems(text, &[]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, "providers.v.service_account");

    let key_file = file("{ \"type\": \"service_account\" }\n");
    let text = format!("{text}service_account_file = {:?}\n", key_file.path());
    let config = load_with(&text, &[]).unwrap();
    assert_eq!(config.providers["a"].price_provider, "openai");
    assert_eq!(config.providers["v"].price_provider, "gemini");
}

#[test]
fn prices_of_ones_own_replace_the_shipped_ones_of_that_model() {
    let prices = file(
        "[[price]]\nprovider = \"demo\"\nmodel = \"mine\"\nusd = { input = \"1\", output = \"2\" }\n",
    );
    let text = format!(
        "[metering]\nprices_file = {:?}\n[models.aliases]\nfast = \"demo/mine\"\n",
        prices.path()
    );
    let config = load_with(&text, &[]).unwrap();
    assert!(config.prices.knows("demo", "mine") && config.prices.knows("demo", "demo"));
}
