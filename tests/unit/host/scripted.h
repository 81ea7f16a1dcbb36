/*
 * A worker that maps nothing and does what a script says. The end of the plugin
 * file says how it begins: "\nAPD-SCRIPT WORD\n" and the description it sends.
 * WORD: good, mute, crash-describe, garbage, failed, die, bad-create, hang-create.
 *
 * The input of a run is a JSON string of words, done in order:
 *   emit message commit ask log misuse say pid env fds    one frame or line each
 *   shout                                             3,000 lines on stdout
 *   away                                              leaves a process in a session of its own
 *   done fail                                         the end
 *   wait hang                                         until told to stop; for ever
 *   segv exit3 close                                  the end of the worker
 *   bad-json bad-frame bad-type bad-channel bad-commit bad-number ask-twice flood root-life stray
 */
#ifndef TESTS_HOST_SCRIPTED_H
#define TESTS_HOST_SCRIPTED_H

int scripted_serve(int socket_fd, int plugin_fd);

#endif
