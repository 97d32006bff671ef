/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One OpenCL context for all devices that a process opens, with CLEF_TEST_CONTEXT=shared. PoCL loads its library of
 * functions, most of a second's work, for each context in which something is compiled, and nearly every test opens a
 * device. This clCreateContext() stands before the loader's, because the program itself is searched first.
 */
#define _GNU_SOURCE
#include <CL/cl.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

typedef cl_context(CL_API_CALL *create_fn)(const cl_context_properties *, cl_uint, const cl_device_id *,
					   void(CL_CALLBACK *)(const char *, const void *, size_t, void *), void *,
					   cl_int *);

/* As threads may open devices, where they are not shared nothing is kept. */
CL_API_ENTRY cl_context CL_API_CALL
clCreateContext(const cl_context_properties *properties, cl_uint count, const cl_device_id *ids,
		void(CL_CALLBACK *notify)(const char *, const void *, size_t, void *), void *user, cl_int *code)
{
	static cl_context shared;
	static cl_device_id shared_id;
	const char *how = getenv("CLEF_TEST_CONTEXT");
	void *symbol = dlsym(RTLD_NEXT, "clCreateContext");
	create_fn create;
	cl_context made;

	memcpy(&create, &symbol, sizeof(create));
	if (shared && ids[0] == shared_id) {
		*code = clRetainContext(shared);
		return shared;
	}
	made = create(properties, count, ids, notify, user, code);
	if (made && !shared && how && !strcmp(how, "shared") && !clRetainContext(made)) {
		shared = made;
		shared_id = ids[0];
	}
	return made;
}
