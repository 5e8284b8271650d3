//! Every shader: parsed, validated with what its family may use, held to WebGPU's default limits, and translated to what each
//! platform's driver eats, with the constants that the operations really give it. All failures are listed at once.

mod support;

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

use naga::back::{self, PipelineConstants};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Handle, Module, ShaderStage, Type, TypeInner, VectorSize};
use protoseg::gpu::{Variant, shaders, shaders::Shader};
use support::{Constants, Dxc, Launches, launches};

const MAX_INVOCATIONS: u32 = 256;
const MAX_GROUP_Z: u32 = 64;
const MAX_WORKGROUP_BYTES: u32 = 16 << 10;
const MAX_STORAGE_BINDINGS: usize = 8;
/// What the family of matrices asks of the device instead.
const MATRIX_WORKGROUP_BYTES: u32 = 32 << 10;
/// What spirv-val says of the capability CooperativeMatrixKHR when it does not know it.
const UNKNOWN_TO_OLD_SPIRV_VAL: &str = "Invalid capability operand: 6022";

/// Programs that look at what was translated.
struct Tools {
    spirv_val: bool,
    dxc: Option<Dxc>,
}

#[test]
fn shaders_are_valid_and_translate() {
    let launches = launches();
    let spirv_val = Command::new("spirv-val").arg("--version").output().is_ok();
    let tools = Tools { spirv_val, dxc: Dxc::find() };
    match &tools.dxc {
        Some(dxc) => dxc.compile("no HLSL", "main", false).map_or((), |()| panic!("{dxc:?} takes anything")),
        // Nobody else's machine has it, so its absence is no skipped test.
        None => println!("HLSL is written, not compiled: no `dxc` is on PATH or named by PROTOSEG_DXC"),
    }
    if spirv_val {
        validate_spirv(&[0; 5], Variant::Floor).expect_err("five zeros are no SPIR-V");
    } else {
        println!(
            "skipped: SPIR-V is written, not validated, as no `spirv-val` (package spirv-tools) is on PATH"
        );
    }
    let failures: Vec<_> = shaders::all().iter().flat_map(|s| examine(s, &launches, &tools)).collect();
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}

/// Each wall, proved by a shader that breaks it.
#[test]
fn planted_breaches_are_found() {
    let main = "@compute @workgroup_size(64) fn main() { y[0] = ";
    let output = "@group(0) @binding(0) var<storage, read_write> y: array<f32>;";
    let inputs: String =
        (1..9).map(|i| format!("@group(0) @binding({i}) var<storage, read> x{i}: array<f32>;")).collect();
    let sum: String = (1..9).map(|i| format!(" + x{i}[0]")).collect();
    let cases = [
        ("", format!("{output} {main} 1.0; }}")),
        (
            "vec3",
            format!(
                "struct P {{ v: vec3<f32> }} @group(0) @binding(1) var<uniform> p: P; {output} {main} p.v.x; }}"
            ),
        ),
        ("workgroup of 512", format!("{output} @compute @workgroup_size(512) fn main() {{ y[0] = 1.0; }}")),
        ("20000 bytes of workgroup", format!("{output} var<workgroup> w: array<f32, 5000>; {main} w[1]; }}")),
        ("9 storage bindings", format!("{output} {inputs} {main} 0.0{sum}; }}")),
        ("plain WGSL", format!("enable f16;\n{output} {main} 1.0; }}")),
        ("constants", format!("override N: f32; {output} {main} N; }}")),
        ("group 0", format!("@group(1) @binding(0) var<storage, read_write> y: array<f32>; {main} 1.0; }}")),
        ("Capabilities", format!("{output} {main} subgroupAdd(1.0); }}")),
        ("by no case", format!("{output} {main} 1.0; }} @compute @workgroup_size(1) fn idle() {{ }}")),
    ];
    let launches = Launches::from([(("planted", "main"), BTreeSet::from([Constants::new()]))]);
    for (wanted, source) in cases {
        let shader = Shader { stem: "planted", family: "test", source: source.leak(), entries: &[] };
        let found = examine(&shader, &launches, &Tools { spirv_val: false, dxc: None });
        if wanted.is_empty() {
            assert_eq!(found, Vec::<String>::new());
        } else {
            assert!(found.len() == 1 && found[0].contains(wanted), "`{wanted}` wanted in {found:?}");
        }
    }
}

/// All that is wrong with a shader, as sentences.
fn examine(shader: &Shader, launches: &Launches, tools: &Tools) -> Vec<String> {
    let mut failures = Vec::new();
    let mut fail = |text: String| failures.push(format!("{}/{}: {text}", shader.family, shader.stem));
    match parse(shader) {
        Err(text) => fail(text),
        Ok(parsed) => {
            buffers_hold_no_vec3(&parsed.0, &mut fail);
            for entry in &parsed.0.entry_points {
                let key = launches.keys().find(|(stem, name)| *stem == shader.stem && *name == entry.name);
                let Some(key) = key else {
                    fail(format!("entry `{}` is launched by no case of the op table", entry.name));
                    continue;
                };
                for constants in &launches[key] {
                    let value = |&(name, bits): &(&str, u64)| (name.to_owned(), f64::from_bits(bits));
                    let given = constants.iter().map(value).collect();
                    let mut fail = |text: String| fail(format!("entry `{}` {given:?}: {text}", entry.name));
                    specialised(&parsed, &entry.name, &given, shader.variant(), tools, &mut fail);
                }
            }
        }
    }
    failures
}

/// What the shaders of a family may use beyond the floor, and the directives that they begin with for it.
fn beyond_the_floor(variant: Variant) -> (Capabilities, &'static [&'static str]) {
    let half = Capabilities::SHADER_FLOAT16;
    match variant {
        Variant::Floor | Variant::Gpu => (Capabilities::empty(), &[]),
        Variant::Software | Variant::Subgroup => (Capabilities::SUBGROUP, &[]),
        Variant::F16 => (half, &["enable f16;"]),
        Variant::Matrix => (
            half | Capabilities::SUBGROUP | Capabilities::COOPERATIVE_MATRIX,
            &["enable f16;", "enable wgpu_cooperative_matrix;"],
        ),
    }
}

/// The module, valid with the capabilities of its family.
fn parse(shader: &Shader) -> Result<(Module, ModuleInfo), String> {
    let (capabilities, allowed) = beyond_the_floor(shader.variant());
    let is_directive = |l: &&str| l.starts_with("enable ") || l.starts_with("requires ");
    let mut directives = shader.source.lines().map(str::trim).filter(is_directive);
    if let Some(line) = directives.find(|line| !allowed.contains(line)) {
        return Err(format!("`{line}`: nothing beyond plain WGSL and the shader's family"));
    }
    let module = naga::front::wgsl::parse_str(shader.source).map_err(|e| e.emit_to_string(shader.source))?;
    let mut validator = Validator::new(ValidationFlags::all(), capabilities);
    if capabilities.contains(Capabilities::SUBGROUP) {
        validator.subgroup_stages(naga::valid::ShaderStages::COMPUTE);
        validator.subgroup_operations(naga::valid::SubgroupOperationSet::all());
    }
    let info = validator.validate(&module).map_err(|e| e.emit_to_string(shader.source))?;
    Ok((module, info))
}

/// A `vec3` takes 16 bytes in a buffer and 12 in Rust: it never appears in one.
fn buffers_hold_no_vec3(module: &Module, fail: &mut impl FnMut(String)) {
    for (_, variable) in module.global_variables.iter() {
        let shared = matches!(variable.space, AddressSpace::Uniform | AddressSpace::Storage { .. });
        if shared && holds_vec3(module, variable.ty) {
            fail(format!("buffer `{}` holds a vec3", variable.name.as_deref().unwrap_or_default()));
        }
    }
}

fn holds_vec3(module: &Module, ty: Handle<Type>) -> bool {
    match &module.types[ty].inner {
        TypeInner::Vector { size, .. } => *size == VectorSize::Tri,
        TypeInner::Matrix { rows, .. } => *rows == VectorSize::Tri,
        TypeInner::Array { base, .. } => holds_vec3(module, *base),
        TypeInner::Struct { members, .. } => members.iter().any(|m| holds_vec3(module, m.ty)),
        _ => false,
    }
}

/// One entry point with its constants filled in: limits, then every translation that its family has.
fn specialised(
    (module, info): &(Module, ModuleInfo),
    entry: &str,
    constants: &PipelineConstants,
    variant: Variant,
    tools: &Tools,
    fail: &mut impl FnMut(String),
) {
    let stage = ShaderStage::Compute;
    let filled = back::pipeline_constants::process_overrides(module, info, Some((stage, entry)), constants);
    let (module, info) = match filled {
        Ok(filled) => filled,
        Err(error) => return fail(format!("constants: {error}")),
    };
    within_limits(&module, &info, entry, variant, fail);
    match spirv(&module, &info, entry) {
        Ok(words) if tools.spirv_val => {
            validate_spirv(&words, variant).unwrap_or_else(|text| fail(format!("spirv-val: {text}")));
        }
        Ok(_) => {}
        Err(text) => fail(format!("SPIR-V: {text}")),
    }
    // Metal's matrices are 8 x 8; HLSL and GLSL have none, and naga writes no f16 to GLSL.
    let has_msl = variant != Variant::Matrix || entry.ends_with("_8");
    let (has_hlsl, has_glsl) = (variant != Variant::Matrix, variant < Variant::F16);
    if has_msl && let Err(text) = msl(&module, &info, entry) {
        fail(format!("MSL: {text}"));
    }
    if has_glsl && let Err(text) = glsl(&module, &info, entry) {
        fail(format!("GLSL: {text}"));
    }
    if has_hlsl {
        let written = hlsl(&module, &info, entry);
        let compiled = written.and_then(|(text, name)| match &tools.dxc {
            Some(dxc) => dxc.compile(&text, &name, variant == Variant::F16),
            None => Ok(()),
        });
        compiled.unwrap_or_else(|text| fail(format!("HLSL: {text}")));
    }
}

fn within_limits(
    module: &Module,
    info: &ModuleInfo,
    entry: &str,
    variant: Variant,
    fail: &mut impl FnMut(String),
) {
    let max_bytes = if variant == Variant::Matrix { MATRIX_WORKGROUP_BYTES } else { MAX_WORKGROUP_BYTES };
    let index = module.entry_points.iter().position(|e| e.name == entry).expect("kept by process_overrides");
    let [x, y, z] = module.entry_points[index].workgroup_size;
    if x * y * z > MAX_INVOCATIONS || z > MAX_GROUP_Z {
        fail(format!("workgroup of {x} x {y} x {z}, {MAX_INVOCATIONS} invocations at most"));
    }
    let used = info.get_entry_point(index);
    let (mut bytes, mut bindings) = (0, 0);
    for (_, variable) in module.global_variables.iter().filter(|(h, _)| !used[*h].is_empty()) {
        match variable.space {
            // WebGPU counts each variable in steps of 16 bytes.
            AddressSpace::WorkGroup => {
                bytes += module.types[variable.ty].inner.size(module.to_ctx()).next_multiple_of(16);
            }
            AddressSpace::Storage { .. } => bindings += 1,
            _ => {}
        }
        if variable.binding.is_some_and(|b| b.group != 0) {
            fail(format!("`{}` is bound outside group 0", variable.name.as_deref().unwrap_or_default()));
        }
    }
    if bytes > max_bytes {
        fail(format!("{bytes} bytes of workgroup memory, {max_bytes} at most"));
    }
    if bindings > MAX_STORAGE_BINDINGS {
        fail(format!("{bindings} storage bindings, {MAX_STORAGE_BINDINGS} at most"));
    }
}

fn spirv(module: &Module, info: &ModuleInfo, entry: &str) -> Result<Vec<u32>, String> {
    // 1.3 (Vulkan 1.1) is the first version with subgroup operations.
    let options = back::spv::Options { lang_version: (1, 3), ..Default::default() };
    let pipeline =
        back::spv::PipelineOptions { shader_stage: ShaderStage::Compute, entry_point: entry.to_owned() };
    back::spv::write_vec(module, info, &options, Some(&pipeline)).map_err(|e| e.to_string())
}

fn validate_spirv(words: &[u32], variant: Variant) -> Result<(), String> {
    // Cooperative matrices come with the Vulkan memory model, which 1.3 always has.
    let environment = if variant == Variant::Matrix { "vulkan1.3" } else { "vulkan1.1" };
    let mut child = Command::new("spirv-val")
        .args(["--target-env", environment, "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| e.to_string())?;
    let mut input = child.stdin.take().expect("piped");
    input.write_all(bytemuck::cast_slice(words)).map_err(|e| e.to_string())?;
    drop(input);
    let output = child.wait_with_output().map_err(|e| e.to_string())?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    if variant == Variant::Matrix && text.contains(UNKNOWN_TO_OLD_SPIRV_VAL) {
        println!(
            "this spirv-val is older than cooperative matrices (2023.4 knows them): written, not validated"
        );
        return Ok(());
    }
    if output.status.success() { Ok(()) } else { Err(text) }
}

fn msl(module: &Module, info: &ModuleInfo, entry: &str) -> Result<String, String> {
    // 2.1 is the first version with subgroup (SIMD-group) operations, 2.3 the first with matrices.
    let version = if entry_has_matrices(module) { (2, 3) } else { (2, 1) };
    let options = back::msl::Options { lang_version: version, ..Default::default() };
    let pipeline = back::msl::PipelineOptions {
        entry_point: Some((ShaderStage::Compute, entry.to_owned())),
        ..Default::default()
    };
    let (text, _) = back::msl::write_string(module, info, &options, &pipeline).map_err(|e| e.to_string())?;
    Ok(text)
}

fn entry_has_matrices(module: &Module) -> bool {
    module.types.iter().any(|(_, ty)| matches!(ty.inner, TypeInner::CooperativeMatrix { .. }))
}

/// The text, and the entry point's name in it.
fn hlsl(module: &Module, info: &ModuleInfo, entry: &str) -> Result<(String, String), String> {
    // 6.0 is the first version with subgroup (wave) operations, 6.2 the first with f16; for all that has no f16 both write
    // the same text.
    let options = back::hlsl::Options { shader_model: back::hlsl::ShaderModel::V6_2, ..Default::default() };
    let pipeline =
        back::hlsl::PipelineOptions { entry_point: Some((ShaderStage::Compute, entry.to_owned())) };
    let mut text = String::new();
    let mut writer = back::hlsl::Writer::new(&mut text, &options, &pipeline);
    let written = writer.write(module, info, None).map_err(|e| e.to_string())?;
    let name = written.entry_point_names.into_iter().next().ok_or("no entry point is written")?;
    Ok((text, name.map_err(|e| e.to_string())?))
}

fn glsl(module: &Module, info: &ModuleInfo, entry: &str) -> Result<String, String> {
    // 3.20 ES is the newest that phones speak.
    let options = back::glsl::Options { version: back::glsl::Version::new_gles(320), ..Default::default() };
    let pipeline = back::glsl::PipelineOptions {
        shader_stage: ShaderStage::Compute,
        entry_point: entry.to_owned(),
        multiview: None,
    };
    let mut text = String::new();
    let policies = naga::proc::BoundsCheckPolicies::default();
    back::glsl::Writer::new(&mut text, module, info, &options, &pipeline, policies)
        .and_then(|mut writer| writer.write())
        .map_err(|e| e.to_string())?;
    Ok(text)
}
