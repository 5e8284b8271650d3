//! Which adapter to use: the one named, or the fastest kind there is; software adapters are welcome.

use crate::error::{Error, Result};

use super::caps::{Caps, Tier};
use super::tiles::Tiles;
use super::variant::{Offer, Variant};

/// Workgroup memory that the kernels on cooperative matrices take, twice WebGPU's default limit.
pub(super) const MATRIX_WORKGROUP_BYTES: u32 = 32 << 10;

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
    /// The highest tier that it offers.
    pub tier: Tier,
    /// The families of kernels that it can run.
    pub variants: Vec<Variant>,
    /// What plans depend on; in it the family of kernels that is taken when none is named.
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
        let offer = offer(adapter);
        AdapterReport {
            index,
            name: info.name.clone(),
            backend: info.backend.to_string(),
            kind: kind(info.device_type),
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
            tier: offer.tier,
            variants: Variant::offered(&offer),
            timestamps: adapter.features().contains(wgpu::Features::TIMESTAMP_QUERY),
            default: default == Some(index),
            caps: caps_of(adapter, &offer, Variant::default_for(&offer)),
        }
    };
    adapters.iter().enumerate().map(report).collect()
}

/// Finds the adapter that `wanted` names by index or by part of its name (case does not matter), or the fastest kind.
pub(super) async fn choose(wanted: Option<&str>) -> Result<(wgpu::Instance, wgpu::Adapter)> {
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
        Some(index) => Ok((instance, adapters.swap_remove(index))),
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

/// Side of the square matrices that multiply `f16` into `f32` sums, 0 if there are none; the larger one of several.
fn matrix_size(adapter: &wgpu::Adapter) -> u32 {
    if adapter.limits().max_compute_workgroup_storage_size < MATRIX_WORKGROUP_BYTES {
        return 0;
    }
    use wgpu::CooperativeScalarType::{F16, F32};
    let sizes = adapter.cooperative_matrix_properties();
    let fits = sizes.iter().filter(|p| p.ab_type == F16 && p.cr_type == F32);
    let square = fits.filter(|p| p.m_size == p.n_size && p.n_size == p.k_size).map(|p| p.m_size);
    square.filter(|size| [8, 16].contains(size)).max().unwrap_or(0)
}

fn offer(adapter: &wgpu::Adapter) -> Offer {
    let (info, features) = (adapter.get_info(), adapter.features());
    let tier = offered_tier(features);
    let fixed = info.subgroup_min_size == info.subgroup_max_size && tier >= Tier::Subgroups;
    Offer {
        tier,
        f16: features.contains(wgpu::Features::SHADER_F16),
        software: info.device_type == wgpu::DeviceType::Cpu,
        subgroup_size: if fixed { info.subgroup_min_size } else { 0 },
        matrix_size: matrix_size(adapter),
    }
}

/// Capabilities of `adapter` with the kernels of `wanted`, or of its default family.
///
/// # Errors
/// [`Error::Device`] if it cannot run `wanted`.
pub(super) fn caps(adapter: &wgpu::Adapter, wanted: Option<Variant>) -> Result<Caps> {
    let offer = offer(adapter);
    let variant = Variant::choose(wanted, &offer, &adapter.get_info().name)?;
    Ok(caps_of(adapter, &offer, variant))
}

fn caps_of(adapter: &wgpu::Adapter, offer: &Offer, variant: Variant) -> Caps {
    let limits = adapter.limits();
    let subgroups = !matches!(variant, Variant::Floor | Variant::Gpu) && offer.tier >= Tier::Subgroups;
    Caps {
        variant,
        software: offer.software,
        discrete: adapter.get_info().device_type == wgpu::DeviceType::DiscreteGpu,
        subgroups,
        subgroup_size: if subgroups { offer.subgroup_size } else { 0 },
        matrix_size: if variant == Variant::Matrix { offer.matrix_size } else { 0 },
        max_binding_bytes: limits.max_storage_buffer_binding_size,
        max_buffer_bytes: limits.max_buffer_size,
        uniform_align: u64::from(limits.min_uniform_buffer_offset_alignment),
        tiles: Tiles::table(),
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
    fn tiers_are_supersets() {
        let mut features = wgpu::Features::empty();
        assert_eq!(offered_tier(features), Tier::Floor);
        features |= wgpu::Features::SUBGROUP;
        assert_eq!(offered_tier(features), Tier::Subgroups);
        features |= wgpu::Features::SHADER_F16;
        assert_eq!(offered_tier(features), Tier::F16);
        features |= wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX;
        assert_eq!(offered_tier(features), Tier::Matrix);
        assert_eq!(offered_tier(features - wgpu::Features::SUBGROUP), Tier::Floor);
    }

    #[test]
    fn the_list_tells_what_is_offered() {
        let list = pollster::block_on(list_adapters());
        assert!(list.iter().all(|a| a.variants.contains(&a.caps.variant)), "{list:?}");
    }
}
