//! What a browser says of its adapter and wgpu does not pass on: its maker and family, and whether it is software.

/// An adapter in a browser's words.
#[derive(Clone, Debug, Default)]
pub(super) struct Described {
    /// Such as `google swiftshader`, `apple metal-3` or `nvidia ampere`; empty where the browser tells nothing.
    pub name: String,
    /// Whether it computes on the processor.
    pub software: bool,
}

/// Names of adapters that are programs.
#[cfg(any(test, all(target_arch = "wasm32", feature = "web")))]
const SOFTWARE: [&str; 3] = ["swiftshader", "llvmpipe", "warp"];

/// What the browser says; nothing outside of one.
pub(super) async fn describe() -> Described {
    #[cfg(all(target_arch = "wasm32", feature = "web"))]
    if let Some(described) = ask().await {
        return described;
    }
    Described::default()
}

/// From the fields of `GPUAdapterInfo`.
#[cfg(any(test, all(target_arch = "wasm32", feature = "web")))]
fn described([vendor, architecture, description]: [String; 3], fallback: bool) -> Described {
    let name = if description.is_empty() { format!("{vendor} {architecture}") } else { description };
    let name = name.trim().to_owned();
    let known = [&vendor, &architecture, &name].map(|text| text.to_lowercase());
    let software = fallback || SOFTWARE.iter().any(|word| known.iter().any(|text| text.contains(word)));
    Described { name, software }
}

#[cfg(all(target_arch = "wasm32", feature = "web"))]
async fn ask() -> Option<Described> {
    use js_sys::{Function, Promise, Reflect};
    use wasm_bindgen::{JsCast, JsValue};
    let get = |object: &JsValue, key: &str| Reflect::get(object, &key.into()).ok();
    let gpu = get(&get(&js_sys::global().into(), "navigator")?, "gpu")?;
    let request: Function = get(&gpu, "requestAdapter")?.dyn_into().ok()?;
    let promise: Promise = request.call0(&gpu).ok()?.dyn_into().ok()?;
    let adapter = wasm_bindgen_futures::JsFuture::from(promise).await.ok()?;
    let info = get(&adapter, "info")?;
    let text = |key: &str| get(&info, key).and_then(|value| value.as_string()).unwrap_or_default();
    let fallback = get(&info, "isFallbackAdapter").is_some_and(|value| value.is_truthy());
    Some(described(["vendor", "architecture", "description"].map(text), fallback))
}

#[cfg(test)]
mod tests {
    use super::described;

    #[test]
    fn programs_are_known_by_their_names() {
        let of = |vendor: &str, architecture: &str, description: &str| {
            let found = described([vendor, architecture, description].map(str::to_owned), false);
            (found.name, found.software)
        };
        assert_eq!(of("google", "swiftshader", ""), ("google swiftshader".into(), true));
        assert_eq!(of("nvidia", "ampere", ""), ("nvidia ampere".into(), false));
        assert_eq!(of("mesa", "", "llvmpipe (LLVM 15)"), ("llvmpipe (LLVM 15)".into(), true));
        assert_eq!(of("", "", ""), (String::new(), false));
        assert!(described([const { String::new() }; 3], true).software);
    }
}
