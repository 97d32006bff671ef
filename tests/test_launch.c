/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs and launches: sources from $CLEF_KERNELS, what compilers say of them, the kinds of arguments, sizes, and
 * what is refused before a driver sees it, since some drivers abort.
 */
#define _XOPEN_SOURCE 700
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "check_clef.h"
#include "tensor_internal.h"

/* ---- helpers ---- */

static clef_tensor *y;

static void write_source(const char *name, const char *source)
{
	char path[1100];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", test_dir(), name);
	file = fopen(path, "wb");
	ck_assert_msg(file && fputs(source, file) >= 0 && fclose(file) == 0, "cannot write %s", path);
}

/* A folder of kernels with nothing in it but what a test writes, no cache, and y of 4096 zeros. */
static void setup(void)
{
	static int32_t zeros[4096];

	test_setenv("CLEF_KERNELS", test_dir());
	test_setenv("CLEF_CACHE", "");
	/* Its file is not in the folder, so opening launches nothing. */
	test_setenv("CLEF_GEMM", "plain");
	write_source("common.clh", "#define COMMON 1\n");
	device_setup();
	y = ck_new(clef_tensor_from(test_device, &(clef_array){ CLEF_INT32, CLEF_SHAPE(4096), zeros }));
}

static void teardown(void)
{
	clef_tensor_free(y);
	device_teardown();
}

static clef_device_info *info(void)
{
	return (clef_device_info *)(uintptr_t)clef_device_get_info(test_device);
}

/* Launches kernel `k` of NAME.cl with one work-item and y as its argument. */
static clef_status launch_one(const char *name, const char *kernel)
{
	clef_status status = clef__launch(
		test_device, &(clef__launch_opts){
				     .program = name, .kernel = kernel, .global = { 1 }, .args = { CLEF__TENSOR(y) } });

	/* On PoCL it has waited for its kernel. */
	return status ? status : clef_finish(test_device);
}

static int32_t first_value(void)
{
	static int32_t values[4096];

	ck_ok(clef_read(y, values, sizeof(values)));
	return values[0];
}

#define KERNEL(body) "__kernel void k(__global int *y, ulong y_offset)\n{\n" body "\n}\n"

/* ---- sources ---- */

START_TEST(folder_of_kernels)
{
	write_source("one.cl", KERNEL("y[y_offset] = 41 + COMMON;"));
	ck_ok(launch_one("one", "k"));
	ck_assert_int_eq(first_value(), 42);
	ck_assert_uint_eq(clef_device_get_stats(test_device).programs_built, 1);
	ck_ok(launch_one("one", "k"));
	ck_assert_uint_eq(clef_device_get_stats(test_device).programs_built, 1);
	ck_assert_uint_eq(clef_device_get_stats(test_device).launches, 2);
}
END_TEST

/* The library's own, read from the source tree. */
START_TEST(folder_of_the_library)
{
	test_setenv("CLEF_KERNELS", CLEF_SOURCE_DIR "/cl");
	ck_ok(clef_fill(y, 77));
	ck_assert_int_eq(first_value(), 77);
}
END_TEST

START_TEST(includes_are_put_in)
{
	write_source("outer.clh", "#include \"inner.clh\"\n#define OUTER (INNER + 1)\n");
	write_source("inner.clh", "#define INNER 10"); /* no newline at its end */
	write_source("two.cl", "#include \"outer.clh\"\n" KERNEL("y[y_offset] = OUTER;"));
	ck_ok(launch_one("two", "k"));
	ck_assert_int_eq(first_value(), 11);
}
END_TEST

START_TEST(defines_stand_in_front)
{
	write_source("three.cl", KERNEL("y[y_offset] = VALUE;"));
	for (int i = 0; i < 2; i++) {
		ck_ok(clef__launch(test_device,
				   &(clef__launch_opts){ .program = "three",
							 .defines = i ? "#define VALUE 5\n" : "#define VALUE 6\n",
							 .kernel = "k",
							 .global = { 1 },
							 .args = { CLEF__TENSOR(y) } }));
		ck_assert_int_eq(first_value(), i ? 5 : 6);
	}
	ck_fails(launch_one("three", "k"), CLEF_ERROR_BUILD, "VALUE");
}
END_TEST

/* The kernel fails to compile, at that place. */
static void check_place(const char *name, const char *file, int line)
{
	char colon[64], bracket[64];

	ck_fails(launch_one(name, "k"), CLEF_ERROR_BUILD, ".cl does not compile on");
	ck_assert_ptr_nonnull(strstr(clef_error(), info()->name));
	ck_assert_msg(strstr(clef_error(), "nonsense") != NULL, "%s", clef_error());
	/* Oclgrind drops the marks of files and lines. */
	if (strstr(info()->name, "Oclgrind"))
		return;
	snprintf(colon, sizeof(colon), "%s:%d", file, line);
	snprintf(bracket, sizeof(bracket), "%s(%d", file, line);
	ck_assert_msg(strstr(clef_error(), colon) || strstr(clef_error(), bracket), "%s", clef_error());
}

START_TEST(syntax_error_names_file_and_line)
{
	write_source("broken.cl", "/* one */\n/* two */\n" KERNEL("y[y_offset] = nonsense;"));
	/* Not remembered: the second attempt says the same. */
	check_place("broken", "broken.cl", 5);
	check_place("broken", "broken.cl", 5);
	write_source("broken.cl", KERNEL("y[y_offset] = 3;"));
	ck_ok(launch_one("broken", "k"));
	ck_assert_int_eq(first_value(), 3);
}
END_TEST

START_TEST(syntax_error_in_an_include)
{
	write_source("bad.clh", "\n\nint f(void) { return nonsense; }\n");
	write_source("user.cl", "\n#include \"bad.clh\"\n" KERNEL("y[y_offset] = 1;"));
	check_place("user", "bad.clh", 3);
	/* And lines are right again behind it. */
	write_source("bad.clh", "\n\n\n\n\n");
	write_source("user.cl", "\n#include \"bad.clh\"\n" KERNEL("y[y_offset] = nonsense;"));
	check_place("user", "user.cl", 5);
}
END_TEST

START_TEST(missing_files)
{
	char path[1100];

	ck_fails(launch_one("absent", "k"), CLEF_ERROR_IO, "absent.cl cannot be read");
	write_source("user.cl", "#include \"absent.clh\"\n" KERNEL(""));
	ck_fails(launch_one("user", "k"), CLEF_ERROR_IO, "absent.clh");
	write_source("loop.clh", "#include \"loop.clh\"\n");
	write_source("user.cl", "#include \"loop.clh\"\n" KERNEL(""));
	ck_fails(launch_one("user", "k"), CLEF_ERROR_INVALID, "includes go too deep");
	snprintf(path, sizeof(path), "%s/folder.cl", test_dir());
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_fails(launch_one("folder", "k"), CLEF_ERROR_IO, "folder.cl");
	test_setenv("CLEF_KERNELS", "/no/such/folder");
	ck_fails(launch_one("one", "k"), CLEF_ERROR_IO, "/no/such/folder");
	test_setenv("CLEF_KERNELS", NULL);
	ck_fails(launch_one("absent", "k"), CLEF_ERROR_INVALID, "absent.cl");
}
END_TEST

START_TEST(missing_kernel)
{
	write_source("one.cl", KERNEL("y[y_offset] = 1;"));
	ck_fails(launch_one("one", "other"), CLEF_ERROR_OPENCL, "kernel other of one.cl");
	ck_ok(launch_one("one", "k"));
}
END_TEST

/* Enough kernels for their table to grow. */
START_TEST(many_kernels)
{
	static char source[32768], names[100][16];
	size_t used = 0;

	for (int i = 0; i < 100; i++) {
		snprintf(names[i], sizeof(names[i]), "k%d", i);
		used += (size_t)snprintf(source + used, sizeof(source) - used,
					 "__kernel void k%d(__global int *y, ulong y_offset) { y[y_offset] = %d; }\n",
					 i, i);
	}
	write_source("many.cl", source);
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 100; i++) {
			ck_ok(launch_one("many", names[i]));
			if (i % 9 == 0)
				ck_assert_int_eq(first_value(), i);
		}
	ck_assert_uint_eq(clef_device_get_stats(test_device).programs_built, 1);
}
END_TEST

/* ---- arguments ---- */

START_TEST(arguments_of_every_kind)
{
	int32_t got[128];

	write_source("args.cl",
		     "__kernel void k(__global int *y, ulong y_offset, int i, uint u, ulong ul, float f, int8 v,\n"
		     "\t__local int *l, __global const int *x, ulong x_offset)\n{\n"
		     "\ty += y_offset;\n\tl[3] = i;\n\ty[0] = l[3];\n\ty[1] = u == 4000000000u;\n"
		     "\ty[2] = ul == 0x123456789abcdef0ul;\n\ty[3] = f == 0.15625f;\n\tvstore8(v, 0, y + 4);\n"
		     "\ty[12] = x[x_offset];\n}\n");
	for (int i = 0; i < 128; i++)
		got[i] = 9;
	ck_ok(clef__buffer_write(y->buffer, 0, got, sizeof(got)));
	ck_ok(clef__launch(test_device, &(clef__launch_opts){ .program = "args",
							      .kernel = "k",
							      .global = { 1 },
							      .local = { 1 },
							      .args = { CLEF__BUFFER(y->buffer, 3),
									CLEF__INT(-5),
									CLEF__UINT(4000000000u),
									CLEF__ULONG(0x123456789abcdef0u),
									CLEF__FLOAT(0.15625),
									{ .kind = CLEF__ARG_INT8,
									  .value.i8 = { 1, -2, 3, -4, 5, -6, 7, -8 } },
									CLEF__LOCAL(16),
									CLEF__BUFFER(y->buffer, 100) } }));
	ck_ok(clef__buffer_read(y->buffer, 0, got, sizeof(got)));
	ck_assert_int_eq(got[2], 9);
	ck_assert_int_eq(got[3], -5);
	ck_assert_int_eq(got[4], 1);
	ck_assert_int_eq(got[5], 1);
	ck_assert_int_eq(got[6], 1);
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(got[7 + i], i % 2 ? -i - 1 : i + 1);
	ck_assert_int_eq(got[15], 9);
	ck_assert_int_eq(got[16], 9);
}
END_TEST

START_TEST(wrong_arguments)
{
	write_source("one.cl", KERNEL("y[y_offset] = 1;"));
	ck_fails(clef__launch(test_device, &(clef__launch_opts){ .program = "one",
								 .kernel = "k",
								 .global = { 1 },
								 .args = { CLEF__TENSOR(y), CLEF__INT(1) } }),
		 CLEF_ERROR_OPENCL, "kernel k");
	ck_ok(launch_one("one", "k"));
}
END_TEST

/* ---- sizes ---- */

#define COUNT_ITEMS                                                                                                    \
	"__kernel void k(__global int *y, ulong y_offset, int nx, int ny, int nz)\n{\n"                                \
	"\tint x = (int)get_global_id(0), v = (int)get_global_id(1), z = (int)get_global_id(2);\n"                     \
	"\tif (x < nx && v < ny && z < nz)\n\t\ty[y_offset + (z * ny + v) * nx + x] += 1;\n}\n"

/* Every work-item once, and none beyond, whatever the sizes. */
START_TEST(global_sizes)
{
	static const int sizes[][3] = { { 1, 0, 0 },  { 1, 1, 1 },   { 33, 1, 1 },  { 4096, 0, 0 }, { 1025, 1, 1 },
					{ 5, 7, 11 }, { 257, 3, 1 }, { 1, 300, 1 }, { 3, 1, 300 },  { 64, 64, 0 } };
	int32_t got[4096];

	write_source("items.cl", COUNT_ITEMS);
	for (int i = 0; i < CLEF_COUNT(sizes) * 2; i++) {
		const int *n = sizes[i / 2];
		int total = n[0] * (n[1] ? n[1] : 1) * (n[2] ? n[2] : 1);

		memset(got, 0, sizeof(got));
		ck_ok(clef__buffer_write(y->buffer, 0, got, sizeof(got)));
		ck_ok(clef__launch(
			test_device,
			&(clef__launch_opts){ .program = "items",
					      .kernel = "k",
					      .global = { (size_t)n[0], (size_t)n[1], (size_t)n[2] },
					      .long_items = i % 2,
					      .args = { CLEF__TENSOR(y), CLEF__INT(n[0]), CLEF__INT(n[1] ? n[1] : 1),
							CLEF__INT(n[2] ? n[2] : 1) } }));
		ck_ok(clef__buffer_read(y->buffer, 0, got, sizeof(got)));
		for (int j = 0; j < 4096; j++)
			ck_assert_msg(got[j] == (j < total), "%d x %d x %d: item %d ran %d times", n[0], n[1], n[2], j,
				      got[j]);
	}
}
END_TEST

START_TEST(no_work_launches_nothing)
{
	uint64_t launches = clef_device_get_stats(test_device).launches;

	ck_ok(clef__launch(test_device, &(clef__launch_opts){ .program = "absent", .kernel = "k" }));
	ck_assert_uint_eq(clef_device_get_stats(test_device).launches, launches);
}
END_TEST

/* Without a wait between them: drivers that hold launches back are asked for them now and then. */
START_TEST(thousands_of_launches)
{
	const int count = test_small() ? 3000 : 20000;
	int32_t got;

	write_source("add.cl", "__kernel void add(__global int *y, ulong y_offset)\n"
			       "{ if (get_global_id(0) == 0) y[y_offset] += 1; }\n");
	for (int i = 0; i < count; i++)
		ck_ok(clef__launch(test_device, &(clef__launch_opts){ .program = "add",
								      .kernel = "add",
								      .global = { 1 },
								      .args = { CLEF__TENSOR(y) } }));
	ck_ok(clef__buffer_read(y->buffer, y->offset * sizeof(got), &got, sizeof(got)));
	ck_assert_int_eq(got, count);
}
END_TEST

START_TEST(local_sizes)
{
	static const int wanted[][3] = { { 4, 2, 2 }, { 8, 0, 0 }, { 1, 1, 1 } };
	int32_t got[3];

	write_source("local.cl", KERNEL("for (int i = 0; i < 3; i++)\ny[y_offset + i] = (int)get_local_size(i);"));
	for (int i = 0; i <= CLEF_COUNT(wanted); i++) {
		clef__launch_opts opts = {
			.program = "local", .kernel = "k", .global = { 16, 2, 2 }, .args = { CLEF__TENSOR(y) }
		};

		for (int d = 0; d < 3 && i < CLEF_COUNT(wanted); d++)
			opts.local[d] = (size_t)wanted[i][d];
		ck_ok(clef__launch(test_device, &opts));
		ck_ok(clef__buffer_read(y->buffer, 0, got, sizeof(got)));
		for (int d = 0; d < 3 && i < CLEF_COUNT(wanted); d++)
			ck_assert_int_eq(got[d], wanted[i][d] ? wanted[i][d] : 1);
		/* The one that is chosen is a power of two. */
		ck_assert_int_eq(got[0] & (got[0] - 1), 0);
		ck_assert_uint_le((uint64_t)got[0] * (uint64_t)got[1] * (uint64_t)got[2], info()->max_work_group);
	}
}
END_TEST

START_TEST(large_work_groups_are_refused)
{
	clef__launch_opts opts = { .program = "one",
				   .kernel = "k",
				   .global = { 1 },
				   .local = { (size_t)info()->max_work_group + 1 },
				   .args = { CLEF__TENSOR(y) } };

	write_source("one.cl", KERNEL("y[y_offset] = 1;"));
	ck_fails(clef__launch(test_device, &opts), CLEF_ERROR_UNSUPPORTED, "wants work-groups of");
	ck_assert_ptr_nonnull(strstr(clef_error(), info()->name));
	opts.local[0] = 2;
	opts.local[1] = (size_t)info()->max_work_group;
	ck_fails(clef__launch(test_device, &opts), CLEF_ERROR_UNSUPPORTED, "wants work-groups of 2 x");
	opts.local[0] = 1;
	opts.local[1] = 1;
	opts.local[2] = (size_t)1 << 40;
	ck_fails(clef__launch(test_device, &opts), CLEF_ERROR_UNSUPPORTED, "wants work-groups of 1 x 1 x");
	ck_assert_uint_eq(clef_device_get_stats(test_device).launches, 0);
}
END_TEST

static clef_status launch_local(uint64_t a, uint64_t b)
{
	return clef__launch(test_device,
			    &(clef__launch_opts){ .program = "two_locals",
						  .kernel = "k",
						  .global = { 1 },
						  .local = { 1 },
						  .args = { CLEF__TENSOR(y), CLEF__LOCAL(a), CLEF__LOCAL(b) } });
}

START_TEST(too_much_local_memory_is_refused)
{
	uint64_t most = info()->local_memory;

	write_source("two_locals.cl",
		     "__kernel void k(__global int *y, ulong y_offset, __local int *a, __local int *b)\n{\n"
		     "\ta[0] = 20;\n\tb[0] = 3;\n\ty[y_offset] = a[0] + b[0];\n}\n");
	ck_ok(launch_local(most / 4, most / 4));
	ck_assert_int_eq(first_value(), 23);
	ck_fails(launch_local(most + 4, 4), CLEF_ERROR_UNSUPPORTED, "bytes of local memory");
	ck_fails(launch_local(most / 4 * 3, most / 4 * 3), CLEF_ERROR_UNSUPPORTED, "bytes of local memory");
	ck_fails(launch_local((uint64_t)1 << 63, (uint64_t)1 << 63), CLEF_ERROR_UNSUPPORTED, "bytes of local memory");
	ck_assert_uint_eq(clef_device_get_stats(test_device).launches, 1);
}
END_TEST

/* Some compilers refuse such a kernel themselves. */
START_TEST(too_much_local_memory_of_a_kernel_is_refused)
{
	char source[512];
	clef_status status;

	snprintf(source, sizeof(source),
		 "__kernel void k(__global int *y, ulong y_offset)\n{\n\t__local int a[%llu];\n"
		 "\ta[y_offset + get_local_id(0)] = 20;\n\tbarrier(CLK_LOCAL_MEM_FENCE);\n"
		 "\ty[y_offset] = a[y_offset + y[1]];\n}\n",
		 (unsigned long long)info()->local_memory / 4 + 100);
	write_source("static.cl", source);
	clef_error_clear();
	status = launch_one("static", "k");
	ck_assert_msg(status == CLEF_ERROR_UNSUPPORTED || status == CLEF_ERROR_BUILD || status == CLEF_ERROR_OPENCL ||
			      status == CLEF_ERROR_DEVICE_MEMORY,
		      "%s: %s", clef_status_name(status), clef_error());
	ck_assert(*clef_error());
	ck_ok(clef_finish(test_device));
}
END_TEST

Suite *launch_suite(void)
{
	Suite *s = suite_create("launch");
	TCase *c = tcase_create("sources");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, folder_of_kernels);
	tcase_add_test(c, folder_of_the_library);
	tcase_add_test(c, includes_are_put_in);
	tcase_add_test(c, defines_stand_in_front);
	tcase_add_test(c, syntax_error_names_file_and_line);
	tcase_add_test(c, syntax_error_in_an_include);
	tcase_add_test(c, missing_files);
	tcase_add_test(c, missing_kernel);
	tcase_add_test(c, many_kernels);
	suite_add_tcase(s, c);
	c = tcase_create("launches");
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, arguments_of_every_kind);
	tcase_add_test(c, wrong_arguments);
	tcase_add_test(c, global_sizes);
	tcase_add_test(c, no_work_launches_nothing);
	tcase_add_test(c, thousands_of_launches);
	tcase_add_test(c, local_sizes);
	tcase_add_test(c, large_work_groups_are_refused);
	tcase_add_test(c, too_much_local_memory_is_refused);
	tcase_add_test(c, too_much_local_memory_of_a_kernel_is_refused);
	suite_add_tcase(s, c);
	return s;
}
