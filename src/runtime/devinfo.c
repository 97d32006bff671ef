/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a device says of itself. The queries are a table of rows, one for each field of clef_device_info; a query that
 * the driver refuses leaves its field at zero, since no single property is needed to go on.
 */
#include "opencl.h"

typedef enum query_kind { QUERY_TEXT, QUERY_UINT, QUERY_ULONG, QUERY_SIZE, QUERY_BOOL, QUERY_WORD } query_kind;

typedef struct query {
	cl_device_info param;
	query_kind kind;
	size_t offset, size; /* of the field */
	const char *word;    /* QUERY_WORD: true if the list of extensions has it */
} query;

#define FIELD(name) offsetof(clef_device_info, name), sizeof(((clef_device_info *)0)->name)

static const query queries[] = {
	{ CL_DEVICE_NAME, QUERY_TEXT, FIELD(name), NULL },
	{ CL_DEVICE_VENDOR, QUERY_TEXT, FIELD(vendor), NULL },
	{ CL_DEVICE_VERSION, QUERY_TEXT, FIELD(version), NULL },
	{ CL_DRIVER_VERSION, QUERY_TEXT, FIELD(driver), NULL },
	{ CL_DEVICE_MAX_COMPUTE_UNITS, QUERY_UINT, FIELD(compute_units), NULL },
	{ CL_DEVICE_MAX_CLOCK_FREQUENCY, QUERY_UINT, FIELD(clock_mhz), NULL },
	{ CL_DEVICE_GLOBAL_MEM_SIZE, QUERY_ULONG, FIELD(global_memory), NULL },
	{ CL_DEVICE_MAX_MEM_ALLOC_SIZE, QUERY_ULONG, FIELD(max_allocation), NULL },
	{ CL_DEVICE_LOCAL_MEM_SIZE, QUERY_ULONG, FIELD(local_memory), NULL },
	{ CL_DEVICE_MAX_WORK_GROUP_SIZE, QUERY_SIZE, FIELD(max_work_group), NULL },
	{ CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, QUERY_UINT, FIELD(float_vector), NULL },
	{ CL_DEVICE_HOST_UNIFIED_MEMORY, QUERY_BOOL, FIELD(unified_memory), NULL },
	{ CL_DEVICE_EXTENSIONS, QUERY_WORD, FIELD(fp64), "cl_khr_fp64" },
	{ CL_DEVICE_EXTENSIONS, QUERY_WORD, FIELD(fp16), "cl_khr_fp16" },
};

static bool has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = list; (p = strstr(p, word)) != NULL; p += n)
		if ((p == list || p[-1] == ' ') && (p[n] == ' ' || p[n] == '\0'))
			return true;
	return false;
}

/* A text property of any length, to be freed; NULL if refused. */
static char *query_text(cl_device_id id, cl_device_info param)
{
	size_t size = 0;
	char *text;

	if (clGetDeviceInfo(id, param, 0, NULL, &size) || !(text = clef__calloc(size + 1, 1, "a device property")))
		return NULL;
	if (clGetDeviceInfo(id, param, size, text, NULL)) {
		free(text);
		return NULL;
	}
	return text;
}

static void run_query(cl_device_id id, const query *q, clef_device_info *info)
{
	void *field = (char *)info + q->offset;
	cl_bool flag = CL_FALSE;
	size_t number = 0;
	char *text;

	switch (q->kind) {
	case QUERY_TEXT:
	case QUERY_WORD:
		text = query_text(id, q->param);
		if (text && q->kind == QUERY_TEXT)
			snprintf(field, q->size, "%s", text + strspn(text, " "));
		else if (text)
			*(bool *)field = has_word(text, q->word);
		free(text);
		break;
	case QUERY_UINT:
	case QUERY_ULONG:
		clGetDeviceInfo(id, q->param, q->size, field, NULL);
		break;
	case QUERY_SIZE:
		if (!clGetDeviceInfo(id, q->param, sizeof(number), &number, NULL))
			*(uint64_t *)field = number;
		break;
	case QUERY_BOOL:
		clGetDeviceInfo(id, q->param, sizeof(flag), &flag, NULL);
		*(bool *)field = flag;
		break;
	}
}

bool clef__device_query(cl_device_id id, clef_device_info *info, size_t max_item_size[3])
{
	cl_bool available = CL_FALSE, compiler = CL_FALSE;
	cl_device_type type = 0;
	size_t sizes[16] = { 1, 1, 1 };

	if (clGetDeviceInfo(id, CL_DEVICE_TYPE, sizeof(type), &type, NULL))
		return false;
	for (int i = 0; i < CLEF_COUNT(queries); i++)
		run_query(id, &queries[i], info);
	info->kind = type & CL_DEVICE_TYPE_GPU           ? CLEF_DEVICE_GPU
		     : type & CL_DEVICE_TYPE_ACCELERATOR ? CLEF_DEVICE_ACCELERATOR
		     : type & CL_DEVICE_TYPE_CPU         ? CLEF_DEVICE_CPU
							 : CLEF_DEVICE_OTHER;
	clGetDeviceInfo(id, CL_DEVICE_AVAILABLE, sizeof(available), &available, NULL);
	clGetDeviceInfo(id, CL_DEVICE_COMPILER_AVAILABLE, sizeof(compiler), &compiler, NULL);
	info->compiler = compiler;
	info->available = available && compiler;
	if (max_item_size) {
		clGetDeviceInfo(id, CL_DEVICE_MAX_WORK_ITEM_SIZES, sizeof(sizes), sizes, NULL);
		memcpy(max_item_size, sizes, 3 * sizeof(sizes[0]));
	}
	return true;
}

const char *clef_device_kind_name(clef_device_kind kind)
{
	switch (kind) {
	case CLEF_DEVICE_CPU:
		return "CPU";
	case CLEF_DEVICE_GPU:
		return "GPU";
	case CLEF_DEVICE_ACCELERATOR:
		return "accelerator";
	case CLEF_DEVICE_OTHER:
		break;
	}
	return "other";
}
