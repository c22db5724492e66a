//! The prose about the API names every route and every code, as the program has them.

use starling_api::{Code, route};

fn prose() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/api.md");
    std::fs::read_to_string(path).expect("docs/api.md")
}

#[test]
fn every_route_is_told() {
    let prose = prose();
    for route in route::ALL {
        assert!(prose.contains(&format!("`{route}`")), "{route} is missing in docs/api.md");
    }
}

#[test]
fn every_code_is_told_with_its_status_and_exit_code() {
    let prose = prose();
    for code in Code::ALL {
        let row =
            format!("| `{code}` | {} | {} | {} |", code.status(), code.exit_code().number(), code.title());
        assert!(prose.contains(&row), "docs/api.md lacks the row\n{row}");
    }
    let told = prose.lines().filter(|line| line.starts_with("| `") && line.matches('|').count() == 5).count();
    assert_eq!(told, Code::ALL.len(), "docs/api.md tells of a code that is gone");
}
