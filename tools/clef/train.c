/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clef train: the training loop.
 *
 * A step only enqueues work. The loss and the number of right answers are summed by the device, and fetched when they
 * are to be shown or kept: at the end of an epoch, with a checkpoint, and on a terminal a few times a second. In
 * between the program runs ahead and prepares batches while the device computes.
 */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <math.h>
#include <signal.h>

#include <clef/clef.h>

#include "progress.h"
#include "scorer.h"
#include "tool.h"
#include "train_checkpoint.h"
#include "train_data.h"
#include "train_log.h"
#include "train_model.h"
#include "train_optim.h"
#include "train_options.h"
#include "train_plot.h"
#include "train_report.h"
#include "train_watch.h"

typedef struct run {
	train_options options;
	train_data data;
	train_log log;
	progress progress;
	train_watch watch;
	train_plot plot;
	train_report report; /* of the test */
	scorer scorer;
	train_checkpoint checkpoint; /* with the sums of the epoch */

	clef_device *dev;
	clef_model *model;
	train_optim optim;
	clef_augment_opts augment;
	clef_loader *train, *validation, *test; /* validation: NULL when nothing was held out */
	double start;
} run;

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
	(void)number;
	interrupted = 1;
}

/* The second Ctrl-C ends the program at once. A shell that starts the program in the background has Ctrl-C ignored,
 * which is left so. */
static void catch_interrupt(void)
{
	struct sigaction action = { .sa_handler = on_interrupt, .sa_flags = SA_RESTART }, old;

	action.sa_flags |= (int)SA_RESETHAND;
	sigemptyset(&action.sa_mask);
	if (!sigaction(SIGINT, NULL, &old) && old.sa_handler != SIG_IGN)
		sigaction(SIGINT, &action, NULL);
}

/* ---- the loop ---- */

/* In the middle of an epoch. What is no number any more does not take the place of what was. */
static clef_status save_step(run *r)
{
	train_checkpoint *c = &r->checkpoint;
	train_score score;
	clef_status s = scorer_read(&r->scorer, c->images, c->sums, &score);

	if (!s && isfinite(score.loss))
		train_checkpoint_save(c);
	return s;
}

/* The images of a batch as a step sees them. */
static clef_tensor *input(run *r, const clef_batch *b)
{
	clef_tensor *images = clef_input(r->scorer.tape, &b->images);
	clef_rng rng = b->rng;

	return r->options.augment ? clef_augment(images, &r->augment, &rng) : images;
}

static clef_status train_step(run *r, const clef_batch *b)
{
	clef_tensor *logits, *labels, *loss;
	clef_status s;

	s = clef_tape_begin(r->scorer.tape);
	labels = clef_input(r->scorer.tape, &b->labels);
	logits = clef_model_forward(r->model, input(r, b));
	loss = clef_cross_entropy(logits, labels);
	if (!s)
		s = scorer_add(&r->scorer, loss, clef_accuracy(logits, labels), b->count);
	return s ? s : train_optim_add(&r->optim, loss);
}

/* Ends early, between two steps, after Ctrl-C. */
static clef_status train_epoch(run *r, int64_t epoch, train_score *score)
{
	clef_status s = scorer_begin(&r->scorer, r->checkpoint.sums);
	int64_t *images = &r->checkpoint.images;
	clef_batch b;

	progress_epoch(&r->progress, epoch);
	while (!s && !r->watch.found && !(interrupted && *images && !r->optim.gathered) &&
	       clef_loader_next(r->train, &b)) {
		train_watch_step(&r->watch, epoch);
		s = train_step(r, &b);
		train_watch_step_end(&r->watch);
		*images += b.count;
		if (!s && progress_due(&r->progress, *images)) {
			s = scorer_read(&r->scorer, *images, r->checkpoint.sums, score);
			if (!s)
				progress_draw(&r->progress, *images, score->loss, score->accuracy);
		}
		if (!s && !r->optim.gathered && train_checkpoint_due(&r->checkpoint))
			s = save_step(r);
	}
	if (!s)
		s = train_optim_flush(&r->optim);
	return s ? s : scorer_read(&r->scorer, *images, r->checkpoint.sums, score);
}

/* The validation set, with averaged weights where there are some. */
static clef_status evaluate_average(run *r, train_score *score)
{
	clef_status s = train_optim_swap(&r->optim);

	if (!s)
		s = scorer_evaluate(&r->scorer, r->validation, &interrupted, score, NULL);
	return s ? s : train_optim_swap(&r->optim);
}

/* ---- how a run ends ----
 * Like all that follows, these return an exit status, or -1 where the run goes on. */

static int failed(run *r)
{
	progress_clear(&r->progress);
	complain("%s", reason());
	train_log_end(&r->log, interrupted ? "interrupted" : "failed", NULL, 0, 0);
	return interrupted ? EXIT_INTERRUPTED : EXIT_FAILED;
}

static int diverged(run *r, int64_t epoch, double loss)
{
	progress_clear(&r->progress);
	complain("the loss is %s after epoch %" PRId64 ": training has diverged; try a lower --lr than %g",
		 isnan(loss) ? "NaN" : "infinite", epoch, (double)r->optim.lr);
	train_log_end(&r->log, "diverged", NULL, 0, 0);
	return EXIT_FAILED;
}

static int found_nan(run *r)
{
	progress_clear(&r->progress);
	train_watch_complain(&r->watch);
	train_log_end(&r->log, "diverged", NULL, 0, 0);
	return EXIT_FAILED;
}

static int print_weights(run *r, uint64_t *hash)
{
	if (train_model_hash(r->model, hash))
		return failed(r);
	printf("weights %016" PRIx64 "\n", *hash);
	return -1;
}

/* Where all of an epoch was trained and only what comes behind it is missing, the loader is at its end. */
static int stopped(run *r, int64_t epoch, train_score score)
{
	uint64_t hash;

	progress_clear(&r->progress);
	if (clef_loader_epoch(r->train) == epoch &&
	    clef_loader_seek(r->train, epoch - 1, clef_loader_batches(r->train)))
		return failed(r);
	train_checkpoint_save(&r->checkpoint);
	printf("interrupted in epoch %" PRId64 " after %" PRId64 " of %" PRId64
	       " images: loss %.4f, accuracy %.2f %%\n",
	       epoch, score.images, clef_dataset_count(r->data.train), score.loss, 100 * score.accuracy);
	if (r->options.checkpoint && !r->checkpoint.failed)
		printf("checkpoint %s: --resume goes on from here\n", r->options.checkpoint);
	train_log_end(&r->log, "interrupted", NULL, 0, 0);
	print_weights(r, &hash);
	return EXIT_INTERRUPTED;
}

/* ---- epochs and the test ---- */

static void print_titles(const run *r)
{
	printf("epoch     loss  accuracy%s  seconds  images/s%s\n", r->validation ? "  val. loss  val. accuracy" : "",
	       r->optim.schedule ? "         lr" : "");
	fflush(stdout);
}

static void print_epoch(run *r, int64_t epoch, train_score train, train_score validation, double took)
{
	progress_clear(&r->progress);
	printf("%5" PRId64 "  %7.4f  %6.2f %%", epoch, train.loss, 100 * train.accuracy);
	if (r->validation)
		printf("  %9.4f  %11.2f %%", validation.loss, 100 * validation.accuracy);
	printf("  %7.2f  %8.0f", took, (double)train.images / took);
	if (r->optim.schedule)
		printf("  %9.3g", (double)clef_optim_get_lr(r->optim.optim));
	putchar('\n');
	fflush(stdout);
}

/* What the epoch has come to is known now, and the next one has not begun. `last`: there shall be none. */
static int end_epoch(run *r, int64_t epoch, train_score train, const train_score *validation, double took, bool *last)
{
	train_checkpoint *c = &r->checkpoint;
	int status = train_log_epoch(&r->log, epoch, train, validation, took, clef_optim_get_lr(r->optim.optim));

	if (status < 0)
		status = train_plot_add(&r->plot, epoch, train, validation);
	*last = train_best_add(&c->best, epoch, validation ? validation->loss : train.loss, r->options.early_stop);
	c->images = 0;
	c->sums[0] = c->sums[1] = 0;
	train_checkpoint_save(c);
	return status;
}

static int run_epoch(run *r, int64_t epoch, bool *last)
{
	train_score train, validation = { 0 };
	const int64_t before = r->checkpoint.images; /* of an epoch that is gone on with */
	double start = seconds(), took;

	if (train_epoch(r, epoch, &train))
		return failed(r);
	took = seconds() - start;
	/* Of all of the epoch, at the pace of what was trained here. */
	if (before && train.images > before)
		took *= (double)train.images / (double)(train.images - before);
	if (r->watch.found)
		return found_nan(r);
	if (!isfinite(train.loss))
		return diverged(r, epoch, train.loss);
	if (r->validation && !interrupted && evaluate_average(r, &validation))
		return failed(r);
	if (interrupted)
		return stopped(r, epoch, train);
	if (train_optim_report(&r->optim, r->validation ? validation.loss : train.loss))
		return failed(r);
	print_epoch(r, epoch, train, validation, took);
	return end_epoch(r, epoch, train, r->validation ? &validation : NULL, took, last);
}

static int run_test(run *r)
{
	train_score score;
	uint64_t hash;
	int status;

	/* What is tested is what print_weights() has the hash of. */
	if (!train_report_open(&r->report, clef_dataset_classes(r->data.test)))
		return EXIT_FAILED;
	if (train_optim_swap(&r->optim) || scorer_evaluate(&r->scorer, r->test, &interrupted, &score, &r->report))
		return failed(r);
	if (interrupted) {
		printf("interrupted before the test was done\n");
		train_log_end(&r->log, "interrupted", NULL, 0, 0);
		print_weights(r, &hash);
		return EXIT_INTERRUPTED;
	}
	printf("test accuracy %.2f %% (%" PRId64 " images)\n", 100 * score.accuracy, score.images);
	train_report_print(&r->report, r->data.test);
	status = print_weights(r, &hash);
	if (status < 0)
		status = train_log_end(&r->log, "done", &score, seconds() - r->start, hash);
	if (status < 0)
		status = EXIT_OK;
	return !status && r->checkpoint.failed ? EXIT_FAILED : status;
}

/* ---- the run ---- */

static bool open_loaders(run *r)
{
	r->train = train_data_loader(&r->data, r->data.train, &r->options, true);
	r->test = r->train ? train_data_loader(&r->data, r->data.test, &r->options, false) : NULL;
	if (r->test && r->data.validation)
		r->validation = train_data_loader(&r->data, r->data.validation, &r->options, false);
	return r->test && (r->validation || !r->data.validation);
}

/* The parts of a run that goes on get what its file has; one that begins writes its first file, so that a path that
 * will not do shows at once. */
static int open_checkpoint(run *r)
{
	train_checkpoint *c = &r->checkpoint;
	int status;

	*c = (train_checkpoint){ .options = &r->options,
				 .data = &r->data,
				 .plot = &r->plot,
				 .parts = { .model = r->model,
					    .optim = r->optim.optim,
					    .schedule = r->optim.schedule,
					    .average = r->optim.average,
					    .loader = r->train } };
	if (r->options.file)
		return train_checkpoint_load(c);
	status = train_checkpoint_begin(c);
	if (status < 0)
		train_checkpoint_save(c);
	return c->failed ? EXIT_FAILED : status;
}

static int open_run(run *r)
{
	const train_options *o = &r->options;
	int status = train_data_open(o, &r->data);

	r->plot = (train_plot){ .path = o->plot, .title = o->model };
	if (status < 0)
		status = train_log_open(&r->log, o->log, o->file && !o->eval_only);
	if (status >= 0)
		return status;
	r->dev = clef_device_open(o->device);
	if (!r->dev && o->device)
		complain("--device %s: %s", o->device, reason());
	else if (!r->dev)
		complain("%s", reason());
	if (!r->dev)
		return EXIT_FAILED;
	status = train_model_open(o, &r->data, r->dev, &r->model);
	if (status >= 0)
		return status;
	if ((o->augment && clef_augment_parse(o->augment, &r->augment)) || scorer_open(&r->scorer, r->dev, r->model) ||
	    !open_loaders(r))
		return failed(r);
	status = train_optim_open(&r->optim, o, r->model, clef_dataset_count(r->data.train));
	if (status >= 0)
		return status;
	status = open_checkpoint(r);
	if (status >= 0)
		return status;
	return train_log_start(&r->log, o, &r->data, clef_device_get_info(r->dev),
			       clef_params_numel(clef_model_params(r->model)), r->optim.lr);
}

static int introduce(run *r)
{
	const clef_device_info *info = clef_device_get_info(r->dev);
	clef_shape sample = clef_dataset_sample(r->data.train);
	char shape[160];

	progress_clear(&r->progress);
	printf("device  %s, %s, on %s\n", info->name, clef_device_kind_name(info->kind), info->platform_name);
	printf("data    %s: images %s, %d classes\n", r->options.data, clef_shape_text(sample, shape, sizeof(shape)),
	       clef_dataset_classes(r->data.train));
	printf("images  %" PRId64 " to train, %" PRId64 " to validate, %" PRId64 " to test\n",
	       clef_dataset_count(r->data.train), clef_dataset_count(r->data.validation),
	       clef_dataset_count(r->data.test));
	printf("model   %s: %" PRId64 " parameters\n", r->options.model,
	       clef_params_numel(clef_model_params(r->model)));
	printf("optim   %s%s%s\n", r->options.optim_text, r->optim.schedule ? ", " : "", r->options.schedule_text);
	if (r->options.augment)
		printf("augment %s\n", r->options.augment);
	if (r->options.file)
		printf("resume  %s, in epoch %" PRId64 " after %" PRId64 " of %" PRId64 " images\n",
		       r->options.checkpoint, clef_loader_epoch(r->train) + 1, r->checkpoint.images,
		       clef_dataset_count(r->data.train));
	if (r->options.print && clef_model_print(r->model, stdout))
		return failed(r);
	print_titles(r);
	return -1;
}

static void close_run(run *r)
{
	progress_clear(&r->progress);
	train_log_close(&r->log);
	train_plot_close(&r->plot);
	train_report_close(&r->report);
	clef_loader_close(r->train);
	clef_loader_close(r->validation);
	clef_loader_close(r->test);
	train_optim_close(&r->optim);
	clef_model_free(r->model);
	scorer_close(&r->scorer);
	clef_device_close(r->dev);
	train_data_close(&r->data);
	train_options_free(&r->options);
	clef_log_set(NULL, NULL, CLEF_LOG_WARN);
}

int train_main(int argc, char **argv)
{
	run r = { .start = seconds() };
	int status = train_options_read(argc, argv, &r.options);
	bool last = false;

	if (status >= 0) {
		train_options_free(&r.options);
		return status;
	}
	catch_interrupt();
	progress_start(&r.progress);
	clef_log_set(progress_message, &r.progress, CLEF_LOG_INFO);
	status = open_run(&r);
	if (status < 0)
		status = introduce(&r);
	if (status < 0)
		train_watch_start(&r.watch, r.model, &r.progress, r.options.watch, r.options.stop_nan);
	if (status < 0)
		progress_plan(&r.progress, r.options.epochs, clef_dataset_count(r.data.train));
	last = status < 0 && train_best_is_past(&r.checkpoint.best, clef_loader_epoch(r.train), r.options.early_stop);
	for (int64_t epoch = clef_loader_epoch(r.train) + 1;
	     epoch <= r.options.epochs && status < 0 && !last && !r.options.eval_only; epoch++)
		status = run_epoch(&r, epoch, &last);
	if (status < 0 && last)
		printf("stopped early: epoch %" PRId64 " was the best, with a loss of %.4f\n", r.checkpoint.best.epoch,
		       r.checkpoint.best.loss);
	if (status < 0)
		status = run_test(&r);
	close_run(&r);
	return status;
}
