/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GPUs and accelerators that are in the machine, by the kernel's word, and whether OpenCL shows a device of their
 * maker. A maker is a row of a table: its PCI number, words in the vendor's name, and what to install.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "doctor.h"

typedef struct maker {
	unsigned id;
	const char *name;
	const char *words[2];  /* in the vendor of its OpenCL devices */
	const char *kernel[2]; /* drivers of the kernel that OpenCL works with */
	const char *no_kernel; /* what to do where another driver has the device, or none */
	const char *packages;
	const char *rusticl; /* drivers for RUSTICL_ENABLE */
} maker;

static const maker makers[] = {
	{ 0x10de,
	  "NVIDIA",
	  { "nvidia", "nouveau" },
	  { "nvidia" },
	  "Debian (non-free): apt-get install nvidia-driver nvidia-opencl-icd; Ubuntu: ubuntu-drivers install; then "
	  "restart",
	  "Debian (non-free): apt-get install nvidia-opencl-icd\n"
	  "Ubuntu: apt-get install libnvidia-compute-VERSION, of the version of the kernel's driver",
	  "nouveau" },
	{ 0x1002,
	  "AMD",
	  { "amd", "advanced micro" },
	  { "amdgpu", "radeon" },
	  "apt-get install firmware-amd-graphics (Debian, non-free-firmware); modprobe amdgpu; dmesg | grep amdgpu",
	  "ROCm: apt-get install rocm-opencl-icd (AMD's own packages: rocm-opencl-runtime)\n"
	  "or Mesa: apt-get install mesa-opencl-icd; export RUSTICL_ENABLE=radeonsi (cards before GCN: r600)",
	  "radeonsi" },
	{ 0x8086,
	  "Intel",
	  { "intel" },
	  { "i915", "xe" },
	  "apt-get install firmware-misc-nonfree (Debian); modprobe i915, or xe; dmesg | grep -e i915 -e xe",
	  "apt-get install intel-opencl-icd (GPUs before Gen12 with releases from 24.35 on: intel-opencl-icd-legacy)\n"
	  "or Mesa: apt-get install mesa-opencl-icd; export RUSTICL_ENABLE=iris",
	  "iris" },
};

/* GPUs that are no PCI devices, by the kernel's driver. */
static const char *const soc_drivers[][2] = {
	{ "panfrost", "panfrost" }, { "panthor", "panfrost" }, { "msm", "freedreno" }, { "asahi", "asahi" }
};

typedef struct gpu {
	const maker *maker;
	char text[96];   /* "NVIDIA GPU [10de:2684] at 0000:01:00.0" */
	char driver[32]; /* of the kernel, or "" */
} gpu;

static bool exists(const doctor *d, const char *path)
{
	char text[DOCTOR_PATH];

	return access(doctor_path(d, path, text), F_OK) == 0;
}

/* A device of the maker that is no CPU: Intel and AMD make those as well. */
static bool is_served(const doctor *d, const maker *m)
{
	for (int i = 0; i < d->device_count; i++)
		for (int w = 0; w < CLEF_COUNT(m->words) && d->devices[i].kind != CLEF_DEVICE_CPU; w++)
			if (m->words[w] && doctor_contains(d->devices[i].vendor, m->words[w]))
				return true;
	return false;
}

static bool kernel_fits(const gpu *g)
{
	for (int i = 0; i < CLEF_COUNT(g->maker->kernel); i++)
		if (g->maker->kernel[i] && !strcmp(g->driver, g->maker->kernel[i]))
			return true;
	return false;
}

static void try_library(void *arg, FILE *out)
{
	if (dlopen(arg, RTLD_LAZY | RTLD_LOCAL))
		fputs("yes", out);
}

static bool loads(const doctor *d, char *library)
{
	child r = { .work = try_library, .arg = library };
	bool yes;

	child_run(&r, d->limit);
	yes = r.said.data && !strcmp(r.said.data, "yes");
	child_free(&r);
	return yes;
}

/* NVIDIA's driver comes into containers without its .icd file. */
static const char *advise_nvidia(const doctor *d, const maker *m)
{
	static char library[] = "libnvidia-opencl.so.1";

	if (!exists(d, "/dev/nvidiactl"))
		return doctor_in_container(d)
			       ? "hand the GPU in: docker run --gpus all ... (with nvidia-container-toolkit)"
			       : "make its device nodes: nvidia-modprobe -u -c 0; or look into: dmesg | grep NVRM";
	if (loads(d, library))
		return "mkdir -p /etc/OpenCL/vendors && echo libnvidia-opencl.so.1 >/etc/OpenCL/vendors/nvidia.icd";
	return doctor_in_container(d)
		       ? "let its OpenCL in: docker run --gpus all -e NVIDIA_DRIVER_CAPABILITIES=compute,utility"
		       : m->packages;
}

static const char *advise(const doctor *d, const gpu *g, char *text, size_t size)
{
	const char *enabled = getenv("RUSTICL_ENABLE");

	if (!strcmp(g->driver, "vfio-pci"))
		return "it is set aside for a virtual machine: use it there, or give it back to the kernel's driver";
	if (!kernel_fits(g) && g->maker->id == 0x10de && !strcmp(g->driver, "nouveau")) {
		snprintf(text, size, "%s\nor Mesa: apt-get install mesa-opencl-icd; export RUSTICL_ENABLE=nouveau",
			 g->maker->no_kernel);
		return text;
	}
	if (!kernel_fits(g))
		return g->maker->no_kernel;
	if (g->maker->id == 0x10de)
		return advise_nvidia(d, g->maker);
	for (int i = 0; i < d->platform_count; i++)
		if (!strcmp(d->platforms[i].name, "rusticl") && (!enabled || !strstr(enabled, g->maker->rusticl))) {
			snprintf(text, size, "export RUSTICL_ENABLE=%s%s%s\nor install the maker's driver: %s",
				 g->maker->rusticl, enabled && *enabled ? "," : "", enabled ? enabled : "",
				 g->maker->packages);
			return text;
		}
	if (!exists(d, "/dev/dri"))
		return "there is no /dev/dri; in a container: docker run --device /dev/dri (ROCm: --device /dev/kfd "
		       "too)";
	return g->maker->packages;
}

doctor_mark doctor_weight(const doctor *d)
{
	const char *named = getenv("CLEF_DEVICE");
	bool better = d->chosen >= 0 && d->devices[d->chosen].kind != CLEF_DEVICE_CPU;

	return better || (d->chosen >= 0 && (d->device || (named && *named))) ? DOCTOR_WARNING : DOCTOR_PROBLEM;
}

static void report(doctor *d, const gpu *g)
{
	char text[1024];

	if (!g->maker) {
		doctor_report(d, DOCTOR_SKIPPED, "%s: for a display only; no OpenCL driver is known for it", g->text);
	} else if (!d->listed) {
		doctor_report(d, DOCTOR_SKIPPED, "%s, kernel driver %s: which devices OpenCL has for it is not known",
			      g->text, *g->driver ? g->driver : "none");
	} else if (is_served(d, g->maker)) {
		doctor_report(d, DOCTOR_OK, "%s, kernel driver %s: OpenCL has a device of its maker", g->text,
			      *g->driver ? g->driver : "unknown");
	} else {
		d->unserved++;
		doctor_advise(d, doctor_weight(d), advise(d, g, text, sizeof(text)),
			      "%s, kernel driver %s: OpenCL has no device for it", g->text,
			      *g->driver ? g->driver : "none");
	}
}

/* ---- finding them ---- */

static unsigned read_hex(const doctor *d, const char *folder, const char *name)
{
	char path[DOCTOR_PATH], full[DOCTOR_PATH], text[32];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return doctor_read(doctor_path(d, path, full), text, sizeof(text)) ? (unsigned)strtoul(text, NULL, 16) : 0;
}

/* The name that a symbolic link ends with. */
static void link_name(const doctor *d, const char *folder, const char *name, char *text, size_t size)
{
	char path[DOCTOR_PATH], full[DOCTOR_PATH], target[512];
	const char *slash;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	n = readlink(doctor_path(d, path, full), target, sizeof(target) - 1);
	target[n > 0 ? n : 0] = '\0';
	slash = strrchr(target, '/');
	snprintf(text, size, "%.31s", slash ? slash + 1 : target);
}

/* False for what computes nothing. */
static bool read_pci(const doctor *d, const char *name, gpu *g)
{
	char folder[400];
	unsigned class, vendor, device;

	snprintf(folder, sizeof(folder), "/sys/bus/pci/devices/%.63s", name);
	class = read_hex(d, folder, "class") >> 16;
	vendor = read_hex(d, folder, "vendor");
	device = read_hex(d, folder, "device");
	if (class != 0x03 && class != 0x12)
		return false;
	memset(g, 0, sizeof(*g));
	for (int i = 0; i < CLEF_COUNT(makers); i++)
		if (makers[i].id == vendor)
			g->maker = &makers[i];
	link_name(d, folder, "driver", g->driver, sizeof(g->driver));
	snprintf(g->text, sizeof(g->text), "%s%s [%04x:%04x] at %.40s", g->maker ? g->maker->name : "display",
		 !g->maker       ? ""
		 : class == 0x12 ? " accelerator"
				 : " GPU",
		 vendor, device, name);
	return true;
}

static int visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static int list(const doctor *d, const char *folder, struct dirent ***entries)
{
	char path[DOCTOR_PATH];
	int count = scandir(doctor_path(d, folder, path), entries, visible, alphasort);

	return count < 0 ? 0 : count;
}

/* A render node whose device is none of PCI's, in phones and small boards. */
static bool report_soc(doctor *d, const char *node)
{
	char path[128], full[DOCTOR_PATH], text[512], driver[32] = "";
	const char *line;

	snprintf(path, sizeof(path), "/sys/class/drm/%.40s/device/uevent", node);
	if (!doctor_read(doctor_path(d, path, full), text, sizeof(text)) || strstr(text, "PCI_ID="))
		return false;
	line = strstr(text, "DRIVER=");
	snprintf(driver, sizeof(driver), "%.*s", line ? (int)strcspn(line + 7, "\n") : 0, line ? line + 7 : "");
	for (int i = 0; i < CLEF_COUNT(soc_drivers); i++)
		if (!strncmp(driver, soc_drivers[i][0], strlen(soc_drivers[i][0]))) {
			if (doctor_has_platform(d, "rusticl")) {
				doctor_report(d, DOCTOR_OK, "GPU at %s, kernel driver %s: Rusticl has a device", node,
					      driver);
				return true;
			}
			d->unserved++;
			snprintf(text, sizeof(text), "apt-get install mesa-opencl-icd; export RUSTICL_ENABLE=%s",
				 soc_drivers[i][1]);
			doctor_advise(d, doctor_weight(d), text,
				      "GPU at %s, kernel driver %s: OpenCL has no device for it", node, driver);
			return true;
		}
	doctor_report(d, DOCTOR_SKIPPED, "GPU at %s, kernel driver %s: no OpenCL driver is known for it", node, driver);
	return true;
}

/* NVIDIA's library works with a kernel driver of its own version alone, which an update without a restart breaks. The
 * version is the end of the library's name. */
static void compare_nvidia(doctor *d)
{
	char path[DOCTOR_PATH], text[512], version[32];
	const char *mark = "Kernel Module", *word, *end;

	if (!doctor_read(doctor_path(d, "/proc/driver/nvidia/version", path), text, sizeof(text)) ||
	    !(word = strstr(text, mark)))
		return;
	/* "Kernel Module  535.129.03", or "Kernel Module for x86_64  565.57.01" */
	word += strlen(mark);
	while (*word && (!strchr("0123456789", *word) || word[-1] != ' '))
		word++;
	snprintf(version, sizeof(version), "%.*s", (int)strcspn(word, " \n"), word);
	for (int i = 0; i < d->icd_count; i++) {
		end = strstr(d->icds[i].resolved, "libnvidia-opencl.so.");
		if (!end || !strcmp(end + 20, version) || !strchr(end + 20, '.'))
			continue;
		doctor_advise(
			d, DOCTOR_PROBLEM,
			"restart, so that the kernel loads the driver of the library's version; in a container, start "
			"it again",
			"NVIDIA's OpenCL library is of version %s, and the kernel's driver of version %s", end + 20,
			version);
		return;
	}
	doctor_report(d, DOCTOR_OK, "NVIDIA's driver in the kernel is of version %s", version);
}

void doctor_hardware(doctor *d)
{
	struct dirent **entries = NULL;
	int count = list(d, "/sys/bus/pci/devices", &entries), seen = 0;
	bool nvidia = false;
	gpu g;

	for (int i = 0; i < count; i++) {
		if (read_pci(d, entries[i]->d_name, &g)) {
			report(d, &g);
			seen++;
			nvidia = nvidia || (g.maker && g.maker->id == 0x10de);
		}
		free(entries[i]);
	}
	free(entries);
	/* Virtual machines and containers may have the node without the PCI device. */
	if (!nvidia && exists(d, "/dev/nvidiactl")) {
		report(d, &(gpu){ .maker = &makers[0], .text = "NVIDIA GPU at /dev/nvidiactl", .driver = "nvidia" });
		seen++;
	}
	compare_nvidia(d);
	entries = NULL;
	count = list(d, "/sys/class/drm", &entries);
	for (int i = 0; i < count; i++) {
		if (!strncmp(entries[i]->d_name, "renderD", 7))
			seen += report_soc(d, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	if (!seen)
		doctor_report(d, DOCTOR_OK,
			      "there is no GPU or accelerator in this machine, so OpenCL has its CPU alone");
}
