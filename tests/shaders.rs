//! Every shader on the floor: parsed, validated, held to WebGPU's default limits, and translated to what each platform's
//! driver eats, with the constants that the operations really give it. All failures are listed at once.

mod support;

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

use naga::back::{self, PipelineConstants};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Handle, Module, ShaderStage, Type, TypeInner, VectorSize};
use protoseg::gpu::{shaders, shaders::Shader};
use support::{Constants, Launches, launches};

const MAX_INVOCATIONS: u32 = 256;
const MAX_GROUP_Z: u32 = 64;
const MAX_WORKGROUP_BYTES: u32 = 16 << 10;
const MAX_STORAGE_BINDINGS: usize = 8;

#[test]
fn shaders_run_on_the_floor() {
    let launches = launches();
    let spirv_val = Command::new("spirv-val").arg("--version").output().is_ok();
    if spirv_val {
        validate_spirv(&[0; 5]).expect_err("five zeros are no SPIR-V");
    } else {
        println!(
            "skipped: SPIR-V is written, not validated, as no `spirv-val` (package spirv-tools) is on PATH"
        );
    }
    let failures: Vec<_> = shaders::all().iter().flat_map(|s| examine(s, &launches, spirv_val)).collect();
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
        let shader = Shader { stem: "planted", family: "test", source: source.leak() };
        let found = examine(&shader, &launches, false);
        if wanted.is_empty() {
            assert_eq!(found, Vec::<String>::new());
        } else {
            assert!(found.len() == 1 && found[0].contains(wanted), "`{wanted}` wanted in {found:?}");
        }
    }
}

/// All that is wrong with a shader, as sentences.
fn examine(shader: &Shader, launches: &Launches, spirv_val: bool) -> Vec<String> {
    let mut failures = Vec::new();
    let mut fail = |text: String| failures.push(format!("{}/{}: {text}", shader.family, shader.stem));
    match parse(shader) {
        Err(text) => fail(text),
        Ok((module, info)) => {
            buffers_hold_no_vec3(&module, &mut fail);
            for entry in &module.entry_points {
                let key = launches.keys().find(|(stem, name)| *stem == shader.stem && *name == entry.name);
                let Some(key) = key else {
                    fail(format!("entry `{}` is launched by no case of the op table", entry.name));
                    continue;
                };
                for constants in &launches[key] {
                    let value = |&(name, bits): &(&str, u64)| (name.to_owned(), f64::from_bits(bits));
                    let given = constants.iter().map(value).collect();
                    let mut fail = |text: String| fail(format!("entry `{}` {given:?}: {text}", entry.name));
                    specialised(&module, &info, &entry.name, &given, spirv_val, &mut fail);
                }
            }
        }
    }
    failures
}

/// The module, valid with the floor's capabilities; variants named `*.subgroup` may use subgroups.
fn parse(shader: &Shader) -> Result<(Module, ModuleInfo), String> {
    let directives = ["enable ", "requires "];
    if let Some(line) =
        shader.source.lines().find(|l| directives.iter().any(|d| l.trim_start().starts_with(d)))
    {
        return Err(format!("`{line}`: nothing beyond plain WGSL"));
    }
    let module = naga::front::wgsl::parse_str(shader.source).map_err(|e| e.emit_to_string(shader.source))?;
    let subgroups = shader.stem.ends_with(".subgroup");
    let capabilities = if subgroups { Capabilities::SUBGROUP } else { Capabilities::empty() };
    let mut validator = Validator::new(ValidationFlags::all(), capabilities);
    if subgroups {
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

/// One entry point with its constants filled in: limits, then every translation.
fn specialised(
    module: &Module,
    info: &ModuleInfo,
    entry: &str,
    constants: &PipelineConstants,
    spirv_val: bool,
    fail: &mut impl FnMut(String),
) {
    let stage = ShaderStage::Compute;
    let filled = back::pipeline_constants::process_overrides(module, info, Some((stage, entry)), constants);
    let (module, info) = match filled {
        Ok(filled) => filled,
        Err(error) => return fail(format!("constants: {error}")),
    };
    within_limits(&module, &info, entry, fail);
    match spirv(&module, &info, entry) {
        Ok(words) if spirv_val => {
            validate_spirv(&words).unwrap_or_else(|text| fail(format!("spirv-val: {text}")))
        }
        Ok(_) => {}
        Err(text) => fail(format!("SPIR-V: {text}")),
    }
    let texts = [("MSL", msl(&module, &info, entry)), ("HLSL", hlsl(&module, &info, entry))];
    for (language, text) in texts.into_iter().chain([("GLSL", glsl(&module, &info, entry))]) {
        match text {
            Ok(text) => assert!(!text.is_empty(), "{language} of `{entry}` is empty"),
            Err(text) => fail(format!("{language}: {text}")),
        }
    }
}

fn within_limits(module: &Module, info: &ModuleInfo, entry: &str, fail: &mut impl FnMut(String)) {
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
    if bytes > MAX_WORKGROUP_BYTES {
        fail(format!("{bytes} bytes of workgroup memory, {MAX_WORKGROUP_BYTES} at most"));
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

fn validate_spirv(words: &[u32]) -> Result<(), String> {
    let mut child = Command::new("spirv-val")
        .args(["--target-env", "vulkan1.1", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| e.to_string())?;
    let mut input = child.stdin.take().expect("piped");
    input.write_all(bytemuck::cast_slice(words)).map_err(|e| e.to_string())?;
    drop(input);
    let output = child.wait_with_output().map_err(|e| e.to_string())?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

fn msl(module: &Module, info: &ModuleInfo, entry: &str) -> Result<String, String> {
    // 2.1 is the first version with subgroup (SIMD-group) operations.
    let options = back::msl::Options { lang_version: (2, 1), ..Default::default() };
    let pipeline = back::msl::PipelineOptions {
        entry_point: Some((ShaderStage::Compute, entry.to_owned())),
        ..Default::default()
    };
    let (text, _) = back::msl::write_string(module, info, &options, &pipeline).map_err(|e| e.to_string())?;
    Ok(text)
}

fn hlsl(module: &Module, info: &ModuleInfo, entry: &str) -> Result<String, String> {
    // 6.0 is the first version with subgroup (wave) operations.
    let options = back::hlsl::Options { shader_model: back::hlsl::ShaderModel::V6_0, ..Default::default() };
    let pipeline =
        back::hlsl::PipelineOptions { entry_point: Some((ShaderStage::Compute, entry.to_owned())) };
    let mut text = String::new();
    let mut writer = back::hlsl::Writer::new(&mut text, &options, &pipeline);
    writer.write(module, info, None).map_err(|e| e.to_string())?;
    Ok(text)
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
