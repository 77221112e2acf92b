# SPDX-License-Identifier: MIT
"""What --allocators takes: a name, a library, and a library with settings; and in which order they run."""

import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from runner import allocators, measure  # noqa: E402

LIBRARY = allocators.found("libc.so.6")


class Words(unittest.TestCase):
    def test_a_library_alone_has_no_settings(self):
        self.assertEqual(allocators.from_word(f"other={LIBRARY}", "build").variables(), [f"LD_PRELOAD={LIBRARY}"])

    def test_settings_follow_the_library(self):
        chosen = allocators.from_word(f"other={LIBRARY}@A=1@B=two words", "build")
        self.assertEqual(chosen.variables(), [f"LD_PRELOAD={LIBRARY}", "A=1", "B=two words"])
        self.assertIn("B=two words", chosen.version)

    def test_settings_reach_workloads_and_programs(self):
        chosen = allocators.from_word(f"other={LIBRARY}@GREETING=two words", "build")
        say = 'test "$GREETING" = "two words"'
        for case in [measure.Case("workload", 1, ["sh", "-c", say]),
                     measure.Case("program", None, ["sh", "-c", f"ALLOCATE sh -c '{say}'"])]:
            argv, environment = measure.command_for(case, chosen)
            self.assertEqual(subprocess.run(argv, env=environment, check=False).returncode, 0, case.name)


class Turns(unittest.TestCase):
    def test_each_round_has_all_and_each_follows_each_other(self):
        order, names = measure.Order(measure.Case("workload", 2, [])), ["a", "b", "c", "d"]
        turns = [order.turn(names) for _ in range(60)]
        self.assertTrue(all(sorted(turn) == names for turn in turns))
        self.assertEqual(len({pair for turn in turns for pair in zip(turn, turn[1:])}), 12)

    def test_a_case_has_its_orders(self):
        case, names = measure.Case("workload", 2, []), list(range(9))
        self.assertEqual(measure.Order(case).turn(names), measure.Order(case).turn(names))


if __name__ == "__main__":
    unittest.main()
