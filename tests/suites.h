/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The test suites, in the order they run: from the lowest layer to the highest, so that the first failure is the one to
 * look at. X(base) stands for `Suite *base_suite(void)` in a file tests/test_*.c. A suite function runs in the parent
 * process, so it only lists tests and never opens a device. gemm_check comes late: by then gemm has compiled CLBlast's
 * kernels, which takes PoCL half a minute.
 */
#ifndef CLEF_TESTS_SUITES_H
#define CLEF_TESTS_SUITES_H

#include <check.h>

/* clang-format off */
#define SUITE_MAP(X) \
	X(base) \
	X(device) \
	X(cache) \
	X(cache_folder) \
	X(compile) \
	X(runtime) \
	X(launch) \
	X(gemm) \
	X(tuning) \
	X(tensor) \
	X(reduce_sum) \
	X(tape) \
	X(tape_errors) \
	X(memory) \
	X(memory_pool) \
	X(allocations) \
	X(gemm_check) \
	X(random) \
	X(random_draws) \
	X(random_streams) \
	X(random_long) \
	X(init) \
	X(init_trunc) \
	X(init_structure) \
	X(init_parse) \
	X(gzread) \
	X(data) \
	X(readers) \
	X(cifar) \
	X(npy) \
	X(images) \
	X(loader) \
	X(check) \
	X(pointwise) \
	X(ops) \
	X(matmul) \
	X(linear_act) \
	X(gate) \
	X(keep) \
	X(reduce) \
	X(positions) \
	X(softmax) \
	X(loss) \
	X(margin_loss) \
	X(class_loss) \
	X(conv) \
	X(conv_edges) \
	X(conv_cpu) \
	X(conv_weights) \
	X(conv_gemm) \
	X(conv_winograd_gpu) \
	X(tuning_choice) \
	X(tuning_candidates) \
	X(norm) \
	X(norm_channels) \
	X(norm_edges) \
	X(fusion) \
	X(dropout) \
	X(augment) \
	X(pool) \
	X(shaping) \
	X(border) \
	X(gather) \
	X(upsample) \
	X(params) \
	X(nn) \
	X(net) \
	X(layers) \
	X(layer_init) \
	X(layer_kinds) \
	X(layer_fusion) \
	X(watch) \
	X(models) \
	X(model_parse) \
	X(optim) \
	X(optim_options) \
	X(optim_rules) \
	X(adafactor) \
	X(optim_groups) \
	X(schedule) \
	X(training) \
	X(vision) \
	X(safetensors) \
	X(model_file) \
	X(checkpoint) \
	X(onnx) \
	X(bench) \
	X(bench_files) \
	X(bench_run) \
	X(tune)
/* clang-format on */

#define SUITE_DECLARE(name) Suite *name##_suite(void);
SUITE_MAP(SUITE_DECLARE)
#undef SUITE_DECLARE

#endif
