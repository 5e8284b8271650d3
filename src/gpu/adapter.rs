//! Which adapter to use: the one named, or the fastest kind there is; software adapters are welcome.

use crate::error::{Error, Result};

use super::caps::{Caps, Tier};

/// What `protoseg devices` prints of one adapter.
#[derive(Clone, Debug, serde::Serialize)]
pub struct AdapterReport {
    /// Index for `--adapter`.
    pub index: usize,
    /// The driver's name for the device.
    pub name: String,
    /// `Vulkan`, `Metal`, `Dx12`, ...
    pub backend: String,
    /// `discrete`, `integrated`, `virtual`, `software` or `other`.
    pub kind: &'static str,
    /// Driver and its version.
    pub driver: String,
    /// The tier that this crate uses on it: the highest one that kernels exist for.
    pub tier: Tier,
    /// The highest tier that it offers.
    pub offered_tier: Tier,
    /// What plans depend on.
    pub caps: Caps,
    /// Whether kernels can be timed on the device.
    pub timestamps: bool,
    /// True for the adapter that is taken when none is named.
    pub default: bool,
}

/// Lists the adapters, the default one marked.
pub async fn list_adapters() -> Vec<AdapterReport> {
    let adapters = enumerate(&instance()).await;
    let default = adapters.iter().enumerate().min_by_key(|(i, a)| (rank(a), *i)).map(|(i, _)| i);
    let report = |(index, adapter): (usize, &wgpu::Adapter)| {
        let info = adapter.get_info();
        let caps = caps(adapter, None);
        AdapterReport {
            index,
            name: info.name.clone(),
            backend: info.backend.to_string(),
            kind: kind(info.device_type),
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
            tier: caps.tier,
            offered_tier: offered_tier(adapter.features()),
            timestamps: adapter.features().contains(wgpu::Features::TIMESTAMP_QUERY),
            default: default == Some(index),
            caps,
        }
    };
    adapters.iter().enumerate().map(report).collect()
}

/// Finds the adapter that `wanted` names by index or by part of its name (case does not matter), or the fastest kind.
pub(super) async fn choose(wanted: Option<&str>) -> Result<wgpu::Adapter> {
    let instance = instance();
    let mut adapters = enumerate(&instance).await;
    if adapters.is_empty() {
        return Err(Error::device("no WebGPU adapter was found", driver_hint()));
    }
    let position = match wanted {
        None => (0..adapters.len()).min_by_key(|&i| (rank(&adapters[i]), i)),
        Some(text) => match text.parse::<usize>() {
            Ok(index) => (index < adapters.len()).then_some(index),
            Err(_) => {
                let text = text.to_lowercase();
                adapters.iter().position(|a| a.get_info().name.to_lowercase().contains(&text))
            }
        },
    };
    match position {
        Some(index) => Ok(adapters.swap_remove(index)),
        None => {
            let names: Vec<_> =
                adapters.iter().enumerate().map(|(i, a)| format!("{i} = {}", a.get_info().name)).collect();
            Err(Error::device(
                format!("no adapter matches `{}`", wanted.unwrap_or_default()),
                format!("choose one of: {}", names.join(", ")),
            ))
        }
    }
}

fn instance() -> wgpu::Instance {
    wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env())
}

async fn enumerate(instance: &wgpu::Instance) -> Vec<wgpu::Adapter> {
    let all = instance.enumerate_adapters(wgpu::Backends::all()).await;
    all.into_iter().filter(|a| a.get_downlevel_capabilities().is_webgpu_compliant()).collect()
}

/// Smaller is faster.
fn rank(adapter: &wgpu::Adapter) -> u8 {
    match adapter.get_info().device_type {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    }
}

const fn kind(device_type: wgpu::DeviceType) -> &'static str {
    match device_type {
        wgpu::DeviceType::DiscreteGpu => "discrete",
        wgpu::DeviceType::IntegratedGpu => "integrated",
        wgpu::DeviceType::VirtualGpu => "virtual",
        wgpu::DeviceType::Cpu => "software",
        wgpu::DeviceType::Other => "other",
    }
}

fn offered_tier(features: wgpu::Features) -> Tier {
    if !features.contains(wgpu::Features::SUBGROUP) {
        Tier::Floor
    } else if !features.contains(wgpu::Features::SHADER_F16) {
        Tier::Subgroups
    } else if !features.contains(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX) {
        Tier::F16
    } else {
        Tier::Matrix
    }
}

/// The tier to use of those that are offered: no kernel needs more than subgroups.
fn used_tier(offered: Tier, wanted: Option<Tier>) -> Tier {
    offered.min(Tier::Subgroups).min(wanted.unwrap_or(Tier::Matrix))
}

/// Capabilities of `adapter`, lowered to `tier` if that is given.
pub(super) fn caps(adapter: &wgpu::Adapter, tier: Option<Tier>) -> Caps {
    let (info, limits) = (adapter.get_info(), adapter.limits());
    let fixed = info.subgroup_min_size == info.subgroup_max_size;
    let tier = used_tier(offered_tier(adapter.features()), tier);
    if tier == Tier::Floor && info.device_type != wgpu::DeviceType::Cpu {
        return Caps {
            max_binding_bytes: limits.max_storage_buffer_binding_size,
            max_buffer_bytes: limits.max_buffer_size,
            ..Caps::floor()
        };
    }
    Caps {
        tier,
        software: info.device_type == wgpu::DeviceType::Cpu,
        subgroup_size: if fixed && tier >= Tier::Subgroups { info.subgroup_min_size } else { 0 },
        max_binding_bytes: limits.max_storage_buffer_binding_size,
        max_buffer_bytes: limits.max_buffer_size,
        uniform_align: u64::from(limits.min_uniform_buffer_offset_alignment),
    }
}

/// What to install on this system to get an adapter.
fn driver_hint() -> String {
    if cfg!(target_os = "windows") {
        return "update the graphics driver, or install a Vulkan driver from the maker of your GPU".into();
    }
    if cfg!(target_os = "macos") {
        return "this needs macOS on a machine with Metal".into();
    }
    if cfg!(target_arch = "wasm32") {
        return "use a browser with WebGPU and enable it".into();
    }
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let has = |name: &str| release.lines().any(|l| l.starts_with("ID") && l.contains(name));
    let command = if has("fedora") || has("rhel") {
        "sudo dnf install mesa-vulkan-drivers vulkan-loader"
    } else if has("arch") {
        "sudo pacman -S vulkan-icd-loader vulkan-swrast"
    } else if has("alpine") {
        "sudo apk add vulkan-loader mesa-vulkan-swrast"
    } else if has("suse") {
        "sudo zypper install libvulkan1 libvulkan_lvp"
    } else {
        "sudo apt-get install libvulkan1 mesa-vulkan-drivers"
    };
    format!("install a Vulkan driver: that of your GPU, or Mesa's software driver with `{command}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tier_without_kernels_is_offered_and_not_used() {
        let mut features = wgpu::Features::empty();
        assert_eq!(offered_tier(features), Tier::Floor);
        features |= wgpu::Features::SUBGROUP;
        assert_eq!(offered_tier(features), Tier::Subgroups);
        features |= wgpu::Features::SHADER_F16;
        assert_eq!(offered_tier(features), Tier::F16);
        assert_eq!(used_tier(Tier::F16, None), Tier::Subgroups);
        assert_eq!(used_tier(Tier::Matrix, Some(Tier::F16)), Tier::Subgroups);
        assert_eq!(used_tier(Tier::Matrix, Some(Tier::Floor)), Tier::Floor);
        assert_eq!(used_tier(Tier::Floor, Some(Tier::Subgroups)), Tier::Floor);
    }

    #[test]
    fn the_list_tells_what_is_offered() {
        let list = pollster::block_on(list_adapters());
        assert!(list.iter().all(|a| a.tier <= a.offered_tier && a.tier == a.caps.tier), "{list:?}");
    }
}
