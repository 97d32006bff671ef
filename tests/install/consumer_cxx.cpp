/* SPDX-License-Identifier: Apache-2.0 */
/* The same as consumer.c in C++: the headers are C++ too, though it has no designated initializers before C++20. */
#include <cstdio>
#include <memory>
#include <vector>

#include <clef/clef.h>

static clef_layer layer(clef_layer_kind kind, int64_t out = 0)
{
	clef_layer result = {};

	result.kind = kind;
	result.out = out;
	return result;
}

int main()
{
	std::vector<float> points = { 0, 0, 0, 1, 1, 0, 1, 1 };
	std::vector<int32_t> answers = { 0, 1, 1, 0 };
	const clef_array images = { CLEF_FLOAT32, CLEF_SHAPE(4, 2), points.data() };
	const clef_array labels = { CLEF_INT32, CLEF_SHAPE(4), answers.data() };
	const clef_layer layers[] = { layer(CLEF_LINEAR, 16), layer(CLEF_TANH), layer(CLEF_LINEAR, 2) };
	clef_adam_opts adam = {};

	adam.lr = 0.05f;
	std::unique_ptr<clef_device, decltype(&clef_device_close)> dev(clef_device_open(nullptr), clef_device_close);
	std::unique_ptr<clef_tape, decltype(&clef_tape_free)> tape(clef_tape_new(dev.get()), clef_tape_free);
	std::unique_ptr<clef_model, decltype(&clef_model_free)> model(
		clef_sequential_new(dev.get(), layers, CLEF_COUNT(layers), CLEF_SHAPE(2), nullptr), clef_model_free);
	std::unique_ptr<clef_optim, decltype(&clef_optim_free)> opt(
		clef_adam_new(clef_model_params(model.get()), &adam), clef_optim_free);
	clef_status status = opt ? CLEF_OK : clef_error_status();
	double last = 1;

	for (int i = 0; i < 200 && !status; i++) {
		clef_tape_begin(tape.get());
		clef_tensor *y = clef_model_forward(model.get(), clef_input(tape.get(), &images));
		clef_tensor *loss = clef_cross_entropy(y, clef_input(tape.get(), &labels));
		status = clef_backward(loss);
		if (!status)
			status = clef_optim_step(opt.get());
		last = clef_item(loss);
	}
	if (status)
		std::fprintf(stderr, "%s: %s\n", clef_status_name(status), clef_error());
	std::printf("clef %s, loss %.4f\n", clef_version(), last);
	return status || !(last < 0.05);
}
