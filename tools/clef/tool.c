/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clef tool: finds the command in a table and runs it. To add a command, write its function, declare it in tool.h
 * and add a row here.
 */
#define _POSIX_C_SOURCE 200809L
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <clef/clef.h>

#include "tool.h"

typedef struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *about;
} command;

static const command commands[] = {
	{ "doctor", doctor_main, "say why there is no device, or not the expected one" },
	{ "devices", devices_main, "list the OpenCL devices" },
	{ "check", check_main, "check that a device computes right" },
	{ "bench", bench_main, "measure devices, operations and networks, and compare results" },
	{ "tune", tune_main, "find the fastest implementations for a network on this device" },
	{ "train", train_main, "train a network on images" },
	{ "eval", eval_main, "test a saved model" },
	{ "predict", predict_main, "say what a saved model takes an image for" },
	{ "export", export_main, "write a saved model as ONNX, or its weights alone" },
};

static const char *current; /* the command that runs, for messages */

void complain(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fprintf(stderr, current ? "clef %s: " : "clef: ", current);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

const char *reason(void)
{
	const char *text = clef_error(), *p = text;

	if (!*text)
		return "it failed without a reason";
	while (isalnum((unsigned char)*p) || *p == '_')
		p++;
	return !strncmp(text, "clef_", 5) && p[0] == ':' && p[1] == ' ' ? p + 2 : text;
}

double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

#define LONGEST_NAME 32

static int least(int a, int b)
{
	return a < b ? a : b;
}

/* The number of letters to change, insert or take out to make one word of the other. */
static int distance(const char *word, const char *name)
{
	int row[LONGEST_NAME + 1];
	int n = least((int)strlen(name), LONGEST_NAME);

	for (int j = 0; j <= n; j++)
		row[j] = j;
	for (int i = 0; word[i] && i <= LONGEST_NAME; i++) {
		int diagonal = row[0];

		row[0] = i + 1;
		for (int j = 1; j <= n; j++) {
			int change = diagonal + (word[i] != name[j - 1]);

			diagonal = row[j];
			row[j] = least(change, least(row[j], row[j - 1]) + 1);
		}
	}
	return row[n];
}

const char *nearest(const char *word, const void *rows, size_t size, int count)
{
	const char *best = NULL;
	int limit = (int)(strlen(word) + 2) / 3 + 1;

	for (int i = 0; i < count; i++) {
		const char *name;
		int d;

		memcpy(&name, (const char *)rows + (size_t)i * size, sizeof(name));
		d = word[0] && !strncmp(word, name, strlen(word)) ? 1 : distance(word, name);
		if (d < limit) {
			limit = d;
			best = name;
		}
	}
	return best;
}

static void help(FILE *out)
{
	fputs("Usage: clef COMMAND [option ...]\n"
	      "\n"
	      "Trains neural networks on any OpenCL device.\n"
	      "\n"
	      "Commands:\n",
	      out);
	for (int i = 0; i < CLEF_COUNT(commands); i++)
		fprintf(out, "  %-12s %s\n", commands[i].name, commands[i].about);
	fputs("\n"
	      "  --help       show this text; clef COMMAND --help shows that of a command\n"
	      "  --version    show the version\n"
	      "\n"
	      "Environment:\n"
	      "  CLEF_DEVICE    the device to use where no --device says otherwise\n"
	      "  CLEF_CACHE     folder of the compiled kernels; \"\" keeps none\n"
	      "  CLEF_TUNING    file of what clef tune found; \"\" uses none\n"
	      "  CLEF_PROFILE   1: show at the end how long each kernel took\n"
	      "  CLEF_DATA      folder to look for digits.csv.gz in\n"
	      "\n"
	      "Exit status: 0, 1 when the command failed, 2 when the command line is wrong, 130 after Ctrl-C.\n",
	      out);
}

static int unknown(const char *word)
{
	static const char *const options[] = { "--help", "--version" };
	bool option = word[0] == '-';
	const char *guess = option ? nearest(word, options, sizeof(options[0]), CLEF_COUNT(options))
				   : nearest(word, commands, sizeof(commands[0]), CLEF_COUNT(commands));

	complain("unknown %s \"%s\"; %s%s%sclef --help lists what there is", option ? "option" : "command", word,
		 guess ? "did you mean \"" : "", guess ? guess : "", guess ? "\"? " : "");
	return EXIT_MISUSED;
}

/* A full disk must not pass for success. */
static int closed(int status)
{
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	complain("standard output cannot be written");
	return status ? status : EXIT_FAILED;
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";

	if (argc < 2) {
		help(stderr);
		return EXIT_MISUSED;
	}
	if (!strcmp(word, "--help") || !strcmp(word, "-h") || !strcmp(word, "help")) {
		help(stdout);
		return closed(EXIT_OK);
	}
	if (!strcmp(word, "--version")) {
		printf("clef %s\n", clef_version());
		return closed(EXIT_OK);
	}
	for (int i = 0; i < CLEF_COUNT(commands); i++)
		if (!strcmp(word, commands[i].name)) {
			current = commands[i].name;
			return closed(commands[i].run(argc - 1, argv + 1));
		}
	return unknown(word);
}
