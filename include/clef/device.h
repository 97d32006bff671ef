/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices: what there is, which one to use, and what it is doing.
 *
 * Environment:
 *   CLEF_DEVICE    the device that clef_device_open(NULL) opens; see there for what it may say
 *   CLEF_CACHE     folder of the compiled kernels; default $XDG_CACHE_HOME/clef, else ~/.cache/clef; "" keeps none
 *   CLEF_COMPILE_JOBS  1 to 64: how many programs PoCL, which compiles one at a time in a process, compiles at a time
 *                  in children that the library starts by fork(); default the number of cores; 1: no children
 *   CLEF_KERNELS   folder to read the .cl files from, instead of those built into the library
 *   CLEF_PROFILE   1: time every kernel, and print a table to standard error when the device is closed
 *   CLEF_GEMM      the matrix product to use ("cpu", "clblast", "plain") instead of the best that fits
 *   CLEF_CONV      the convolution to use where it can ("winograd", "winograd_weights", "winograd_gpu", "cpu",
 *                  "cpu_weights", "gemm", "im2col", "direct") instead of the best that fits; see conv.h
 *   CLEF_TUNING    file of the choices among implementations that were measured; see tune.h. Default
 *                  $XDG_DATA_HOME/clef/tuning.json, else ~/.local/share/clef/tuning.json; "" uses none
 *   CLEF_TUNE_MS   milliseconds, 0 to 1000000, that may be spent on measuring when a convolution or matrix product of
 *                  new sizes is met, for each; what is found is kept in that file. What has to be compiled for it may
 *                  take longer. 0: nothing is measured, which is the default on CPUs with vectors of 8 or 16 floats;
 *                  elsewhere it is 50
 */
#ifndef CLEF_DEVICE_H
#define CLEF_DEVICE_H

#include <clef/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An open OpenCL device with its queue, compiled programs and buffer pool. */
typedef struct clef_device clef_device;

typedef enum clef_device_kind {
	CLEF_DEVICE_CPU,
	CLEF_DEVICE_GPU,
	CLEF_DEVICE_ACCELERATOR,
	CLEF_DEVICE_OTHER,
} clef_device_kind;

/* What OpenCL tells about a device. Strings are cut to their field. Sizes are in bytes. */
typedef struct clef_device_info {
	int platform;            /* index of the platform, from 0, in the loader's order */
	int device;              /* index of the device in its platform, from 0 */
	clef_device_kind kind;   /* what CL_DEVICE_TYPE says */
	char name[128];          /* "NVIDIA H200" */
	char vendor[64];         /* "NVIDIA Corporation" */
	char platform_name[64];  /* "Portable Computing Language" */
	char version[128];       /* "OpenCL 3.0 ..." of the device */
	char driver[64];         /* driver version */
	uint32_t compute_units;  /* cores of a CPU, multiprocessors of a GPU */
	uint32_t clock_mhz;      /* highest clock, 0 where the driver does not say */
	uint64_t global_memory;  /* bytes of device memory */
	uint64_t max_allocation; /* largest single buffer */
	uint64_t local_memory;   /* local memory of a work-group */
	uint64_t max_work_group; /* largest work-group */
	uint32_t float_vector;   /* native vector width for float: 16 with AVX-512, 1 on most GPUs */
	bool unified_memory;     /* shares the host's memory */
	bool fp64;               /* has double precision; clef never needs it */
	bool fp16;               /* has half precision arithmetic; clef never needs it */
	bool compiler;           /* the driver compiles OpenCL C, which clef needs */
	bool available;          /* the driver can use it and it has a compiler: clef_device_open() accepts it */
} clef_device_info;

/* "CPU", "GPU", "accelerator" or "other". */
CLEF_API const char *clef_device_kind_name(clef_device_kind kind);

/* Writes the first `max` devices of all platforms to `infos`, in the loader's order, and returns how many there are
 * (it may exceed max; platforms without devices are passed over). 0 when there is no OpenCL platform at all.
 * Negative: a clef_status. */
CLEF_API int clef_device_list(clef_device_info *infos, int max);

/* An OpenCL platform: what a driver shows of itself, with or without devices. Strings are cut to their field. */
typedef struct clef_platform_info {
	char name[64];    /* "Portable Computing Language" */
	char vendor[64];  /* "The pocl project" */
	char version[96]; /* "OpenCL 3.0 PoCL 3.1 ..." */
	char error[48];   /* OpenCL's error where it does not list its devices; "" where it does */
	int devices;      /* how many it has; none is no error */
} clef_platform_info;

/* Writes the first `max` platforms to `infos`, in the loader's order, and returns how many there are (it may exceed
 * max). 0 when there is none, or when the loader lists none. */
CLEF_API int clef_platform_list(clef_platform_info *infos, int max);

/* The OpenCL loader, the library through which all drivers are reached. A string is "" where it cannot be told. */
typedef struct clef_icd_loader {
	char path[256];   /* its file */
	char name[64];    /* "OpenCL ICD Loader" */
	char vendor[64];  /* "OCL Icd free software" */
	char version[32]; /* "2.3.1" */
	char opencl[32];  /* the OpenCL version that it knows: "OpenCL 3.0" */
} clef_icd_loader;

/* Like every call of OpenCL it may load the drivers. */
CLEF_API clef_icd_loader clef_icd_loader_get(void);

/* The number in clef_device_list() of the device that clef_device_open(which) opens; opens nothing. A negative
 * clef_status where there is none, or none that can be used. */
CLEF_API int clef_device_find(const char *which);

/*
 * Opens a device. `which` is one of
 *   NULL or ""    what $CLEF_DEVICE says; without it the first GPU, else the first accelerator, else the first device
 *   "gpu" "cpu" "accelerator"   the first of that kind
 *   "1"           the device with this number in clef_device_list()
 *   "0:1"         platform 0, device 1
 *   other text    the first whose name, vendor, platform name or version contains it, in any case ("h200", "pocl")
 * Returns NULL when there is no such device (the message lists those that there are) or when it cannot be used.
 * Close it with clef_device_close().
 *
 * A small known product of matrices is computed and checked; where several programs are compiled at a time, as on PoCL
 * with a kernel cache, that waits for the first product that is asked for. An implementation that fails is set aside
 * with a warning (see clef_log_set()) and the next one is used. One that passed is remembered in the kernel cache.
 *
 * On PoCL POCL_WORK_GROUP_SPECIALIZATION=0 is put into the environment, unless it is there already: kernels are then
 * compiled once, not once more for each size of work-group.
 */
CLEF_API clef_device *clef_device_open(const char *which);

/* Closes the device once nothing made on it is left: tensors, tapes, models and optimizers may be freed before or
 * after this call. NULL is accepted. */
CLEF_API void clef_device_close(clef_device *dev);

/* Valid as long as the device; NULL for NULL. */
CLEF_API const clef_device_info *clef_device_get_info(const clef_device *dev);

/* Waits until the device has done all that was enqueued. Errors: CLEF_ERROR_OPENCL, if it failed meanwhile. Like every
 * call that waits it also has the errors of what was enqueued before: on PoCL kernels that are not compiled yet wait
 * until then, and are compiled several at a time. */
CLEF_API clef_status clef_finish(clef_device *dev);

/* Counters since the device was opened, and memory at this moment, in bytes. */
typedef struct clef_device_stats {
	uint64_t memory_in_use;   /* buffers held by tensors, tapes and the library */
	uint64_t memory_pooled;   /* buffers kept for reuse */
	uint64_t memory_peak;     /* highest sum of both so far */
	uint64_t buffers_created; /* buffers ever asked of the driver; constant once a training loop is warm */
	uint64_t launches;        /* kernels enqueued */
	uint64_t programs_built;  /* programs compiled from source */
	uint64_t programs_cached; /* programs loaded from the cache */
	double build_seconds;     /* time spent in both */
	double flops, bytes;      /* arithmetic and memory traffic of the launches, as far as kernels count theirs; fast
				   * convolutions count what the definition takes */
} clef_device_stats;

/* Zeros for NULL. */
CLEF_API clef_device_stats clef_device_get_stats(const clef_device *dev);

/* Writes the folder of the compiled kernels into text, cut to `size` bytes with the terminating zero; returns text. ""
 * where none is kept. The folder need not be there yet. */
CLEF_API char *clef_cache_folder(char *text, size_t size);

/* Lets memory_peak begin anew, at what is in use and pooled now. NULL is accepted. */
CLEF_API void clef_device_reset_peak(clef_device *dev);

/* Gives the buffers kept for reuse back to the driver. NULL is accepted. */
CLEF_API void clef_device_trim(clef_device *dev);

#ifdef __cplusplus
}
#endif

#endif
