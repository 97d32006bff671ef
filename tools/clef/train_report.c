/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The confusion matrix of clef train. Predictions are fetched batch by batch: it is made once, of the test set, and
 * that is small beside the training.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <clef/clef.h>

#include "tool.h"
#include "train_report.h"

enum { WIDEST = 20, MISTAKES = 10, NAME_WIDTH = 16 };

bool train_report_open(train_report *report, int classes)
{
	*report = (train_report){ classes, calloc((size_t)classes * (size_t)classes, sizeof(int64_t)) };
	if (!report->counts)
		complain("no memory on the host for a table of %d classes", classes);
	return report->counts != NULL;
}

void train_report_close(train_report *report)
{
	free(report->counts);
	report->counts = NULL;
}

static int64_t *count_of(const train_report *r, int truth, int prediction)
{
	return &r->counts[(size_t)truth * (size_t)r->classes + (size_t)prediction];
}

clef_status train_report_add(train_report *report, const clef_tensor *logits, const clef_batch *batch)
{
	size_t size = (size_t)clef_tensor_numel(logits) * sizeof(float);
	const int32_t *labels = batch->labels.data;
	float *values = malloc(size);
	clef_status s = values ? clef_read(logits, values, size) : CLEF_ERROR_MEMORY;

	for (int64_t i = 0; i < batch->count && !s; i++) {
		const float *v = values + i * report->classes;
		int best = 0;

		/* The first of equals, as clef_accuracy() has it. */
		for (int k = 1; k < report->classes; k++)
			if (v[k] > v[best])
				best = k;
		++*count_of(report, labels[i], best);
	}
	free(values);
	return s;
}

/* "3 cat", or the number alone. */
static const char *name_of(const clef_dataset *set, int label, char text[NAME_WIDTH + 1])
{
	const char *name = clef_dataset_class(set, label);

	snprintf(text, NAME_WIDTH + 1, name ? "%d %s" : "%d", label, name);
	return text;
}

static void print_row(const train_report *r, const clef_dataset *set, int truth)
{
	int64_t all = 0, right = *count_of(r, truth, truth);
	char name[NAME_WIDTH + 1];

	for (int k = 0; k < r->classes; k++)
		all += *count_of(r, truth, k);
	printf("%-*s  %6" PRId64 "  ", NAME_WIDTH, name_of(set, truth, name), all);
	if (all)
		printf("%6.2f %%", 100.0 * (double)right / (double)all);
	else
		printf("       -");
	for (int k = 0; k < r->classes && r->classes <= WIDEST; k++)
		printf("  %4" PRId64, *count_of(r, truth, k));
	putchar('\n');
}

typedef struct mistake {
	int truth, prediction;
	int64_t count;
} mistake;

/* Most first, and then in the order of the classes. */
static int compare(const void *a, const void *b)
{
	const mistake *x = a, *y = b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return x->truth != y->truth ? x->truth - y->truth : x->prediction - y->prediction;
}

/* The most frequent ones; nothing where there is no memory to sort them. */
static void print_mistakes(const train_report *r, const clef_dataset *set)
{
	mistake *list = malloc((size_t)r->classes * (size_t)r->classes * sizeof(*list));
	char truth[NAME_WIDTH + 1], prediction[NAME_WIDTH + 1];
	size_t n = 0;

	for (int i = 0; i < r->classes && list; i++)
		for (int k = 0; k < r->classes; k++)
			if (i != k && *count_of(r, i, k))
				list[n++] = (mistake){ i, k, *count_of(r, i, k) };
	if (n)
		qsort(list, n, sizeof(*list), compare);
	for (size_t i = 0; i < n && i < MISTAKES; i++)
		printf("%s%6" PRId64 " times %s taken for %s\n", i ? "" : "\n", list[i].count,
		       name_of(set, list[i].truth, truth), name_of(set, list[i].prediction, prediction));
	free(list);
}

void train_report_print(const train_report *report, const clef_dataset *set)
{
	const train_report *r = report;

	printf("\n%-*s  images  accuracy", NAME_WIDTH, "class");
	if (r->classes <= WIDEST)
		printf("  taken for\n%*s", NAME_WIDTH + 18, "");
	for (int k = 0; k < r->classes && r->classes <= WIDEST; k++)
		printf("  %4d", k);
	putchar('\n');
	for (int i = 0; i < r->classes; i++)
		print_row(r, set, i);
	if (r->classes > WIDEST)
		print_mistakes(r, set);
	putchar('\n');
}

bool train_best_add(train_best *best, int64_t epoch, double loss, int64_t patience)
{
	if (!best->epoch || loss < best->loss)
		*best = (train_best){ epoch, loss };
	return train_best_is_past(best, epoch, patience);
}

bool train_best_is_past(const train_best *best, int64_t epochs, int64_t patience)
{
	return patience && epochs - best->epoch >= patience;
}
