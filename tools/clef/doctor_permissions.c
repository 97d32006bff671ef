/* SPDX-License-Identifier: Apache-2.0 */
/*
 * May this user open the device nodes that drivers need? Opening them is the only true answer, with access lists and
 * containers about; the groups explain a refusal.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "doctor.h"

static const char *const nodes[] = { "/dev/dri/renderD*", "/dev/kfd", "/dev/nvidiactl", "/dev/nvidia[0-9]*",
				     "/dev/nvidia-uvm" };

typedef struct membership {
	char group[64]; /* its name, or "" */
	bool listed;    /* the group's entry names the user */
	bool session;   /* this process has it */
} membership;

static void read_entry(const struct group *entry, const char *user, membership *m)
{
	snprintf(m->group, sizeof(m->group), "%s", entry->gr_name);
	for (char **name = entry->gr_mem; *name; name++)
		m->listed = m->listed || !strcmp(*name, user);
}

static void find_membership(const doctor *d, gid_t gid, const char *user, membership *m)
{
	char path[DOCTOR_PATH];
	gid_t groups[256];
	int count = getgroups(CLEF_COUNT(groups), groups);
	FILE *file = *d->root ? fopen(doctor_path(d, "/etc/group", path), "r") : NULL;
	const struct group *entry = *d->root ? NULL : getgrgid(gid);

	memset(m, 0, sizeof(*m));
	while (file && !entry && (entry = fgetgrent(file)) != NULL)
		if (entry->gr_gid != gid)
			entry = NULL;
	if (entry)
		read_entry(entry, user, m);
	if (file)
		fclose(file);
	m->session = getegid() == gid;
	for (int i = 0; i < count; i++)
		m->session = m->session || groups[i] == gid;
}

static void advise_group(const doctor *d, const char *node, const struct stat *s, const char *user, char *text,
			 size_t size)
{
	membership m;

	find_membership(d, s->st_gid, user, &m);
	if ((s->st_mode & 0060) != 0060 || s->st_gid == 0)
		snprintf(text, size,
			 "its group may not use it: a udev rule does that (as root):\n"
			 "echo 'KERNEL==\"%s\", GROUP=\"render\", MODE=\"0660\"' >/etc/udev/rules.d/70-clef.rules && "
			 "udevadm "
			 "trigger",
			 strncmp(node, "renderD", 7) != 0 ? node : "renderD*");
	else if (m.session)
		snprintf(text, size,
			 "the session is in the group %s, so an access list (getfacl) or a security module refuses it",
			 m.group);
	else if (m.listed)
		snprintf(text, size,
			 "%s is in the group %s, but this session began before: log out and in again, or: newgrp %s",
			 user, m.group, m.group);
	else if (*m.group)
		snprintf(text, size, "sudo usermod -aG %s%s %s, then log out and in again%s", m.group,
			 !strcmp(m.group, "render") ? ",video" : "", user,
			 doctor_in_container(d) ? "\nin a container: docker run --group-add, with the group's number"
						: "");
	else
		snprintf(text, size, "the group %u has no name here; in a container: docker run --group-add %u",
			 (unsigned)s->st_gid, (unsigned)s->st_gid);
}

static void report_refused(doctor *d, const char *path, int reason)
{
	const struct passwd *pw = getpwuid(getuid());
	const char *slash = strrchr(path, '/');
	char text[1024], user[64], owner[96] = "";
	struct stat s;
	const struct group *g;

	snprintf(user, sizeof(user), "%s", pw ? pw->pw_name : "$USER");
	if (reason == EPERM)
		snprintf(text, sizeof(text), "the container may not use it: docker run --device %s", path);
	else if (reason != EACCES)
		snprintf(text, sizeof(text), "the kernel's driver does not answer: look into dmesg, or restart");
	else if (stat(path, &s))
		snprintf(text, sizeof(text), "a folder above it may not be searched: ls -ld %s", path);
	else
		advise_group(d, slash + 1, &s, user, text, sizeof(text));
	if (reason == EACCES && !stat(path, &s)) {
		membership m;

		find_membership(d, s.st_gid, user, &m);
		g = getgrgid(s.st_gid);
		snprintf(owner, sizeof(owner), ", of the group %s",
			 *m.group ? m.group
			 : g      ? g->gr_name
				  : "without a name");
	}
	doctor_advise(d, doctor_weight(d), text, "%s%s: %s may not read and write it: %s", path, owner, user,
		      strerror(reason));
}

static void check_node(doctor *d, const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0) {
		report_refused(d, path, errno);
		return;
	}
	close(fd);
	doctor_report(d, DOCTOR_OK, "%s can be read and written", path);
}

void doctor_permissions(doctor *d)
{
	int seen = 0;

	for (int i = 0; i < CLEF_COUNT(nodes); i++) {
		char path[DOCTOR_PATH];
		glob_t found;

		if (glob(doctor_path(d, nodes[i], path), 0, NULL, &found))
			continue;
		for (size_t j = 0; j < found.gl_pathc; j++, seen++)
			check_node(d, found.gl_pathv[j]);
		globfree(&found);
	}
	if (!seen)
		doctor_report(d, DOCTOR_SKIPPED,
			      "there are no device nodes of GPUs (/dev/dri/renderD*, /dev/kfd, /dev/nvidia*)");
}
