"""What people type: the questions, the words of an answer, its proper form, its grammar."""
